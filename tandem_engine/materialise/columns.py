"""The columns of a corpus: found while readings are dealt, so that all parts have the same ones.

A conversation's `prompt` and `completion` may be texts in one file and lists of turns in another.
A Parquet column is one or the other: where both occur, texts become lists of one turn.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from tandem_engine.contracts.conversations import ASSISTANT
from tandem_engine.errors import InvalidSpecError

Columns = dict[str, pa.DataType | None]
"""Types by name; None where only the name is wanted."""

_ORDER = ("text", "messages", "prompt", "completion", "choices", "domain")
_ROLES = {"prompt": "user", "completion": ASSISTANT}
_TEXT = pa.string()


def columns_of(records: Sequence[Mapping[str, Any]], *, typed: bool) -> Columns:
    """Return the columns of some records.

    Raises:
        InvalidSpecError: the turns of two records have a field of types that do not go together.
    """
    found: Columns = {}
    for name in {name for record in records for name in record}:
        if name in {"text", "domain"}:
            found[name] = _TEXT
        elif typed:
            found[name] = _type_of(name, [record[name] for record in records if name in record])
        else:
            found[name] = None
    return found


def merged(parts: Iterable[Columns]) -> Columns:
    """Return the columns of all parts, in one order; those of a corpus of texts if there are none.

    Raises:
        InvalidSpecError: as `columns_of`, of two parts.
    """
    together: Columns = {}
    for columns in parts:
        for name, kind in columns.items():
            together[name] = _wider(name, together[name], kind) if name in together else kind
    if not together:
        together = {"text": _TEXT, "domain": _TEXT}
    return {name: together[name] for name in _ORDER if name in together}


def schema_of(columns: Columns) -> pa.Schema:
    """Return the schema of a Parquet file with typed columns."""
    # A column that is null in every record has no type of its own.
    return pa.schema(
        [(n, _TEXT if k is None or pa.types.is_null(k) else k) for n, k in columns.items()]
    )


def table_of(records: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return records as a table of `schema`."""
    arrays = []
    for column in schema:
        values = [record.get(column.name) for record in records]
        if column.name in _ROLES and not pa.types.is_string(column.type):
            role = _ROLES[column.name]
            values = [
                [{"role": role, "content": value}] if isinstance(value, str) else value
                for value in values
            ]
        arrays.append(pa.array(values, type=column.type))
    return pa.table(arrays, schema=schema)


def _type_of(name: str, values: Sequence[Any]) -> pa.DataType:
    texts = any(isinstance(value, str) for value in values)
    others = [value for value in values if not isinstance(value, str)]
    try:
        kind = pa.infer_type(others)
    except pa.ArrowException as error:
        raise _conflict(name, str(error)) from error
    return _TEXT if texts and pa.types.is_null(kind) else kind


def _wider(name: str, one: pa.DataType | None, other: pa.DataType | None) -> pa.DataType | None:
    if one is None or other is None or one.equals(other):
        return one
    kinds = [kind for kind in (one, other) if not (name in _ROLES and pa.types.is_string(kind))]
    if len(kinds) == 1 and not pa.types.is_null(kinds[0]):
        return kinds[0]  # texts become turns
    try:
        schemas = [pa.schema([(name, kind)]) for kind in (one, other)]
        return pa.unify_schemas(schemas, promote_options="permissive").field(name).type
    except pa.ArrowException as error:
        raise _conflict(name, str(error)) from error


def _conflict(name: str, reason: str) -> InvalidSpecError:
    return InvalidSpecError(
        f"the records' {name!r} do not fit into one column: {reason}",
        field="format",
        value="parquet",
        hint="write jsonl or mds, which take any JSON",
    )
