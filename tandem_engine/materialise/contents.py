"""What a reading carries from its source to its part: a JSON record, or tokens."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tandem_engine.contracts.conversations import RECORD_FIELDS
from tandem_engine.errors import InvalidSpecError
from tandem_engine.inputs.documents import Document
from tandem_engine.inputs.files import SourceFile
from tandem_engine.manifests.read import Manifest
from tandem_engine.materialise.columns import Columns, columns_of, merged

if TYPE_CHECKING:
    from tandem_engine.data.tokenise import Tokenizer


# What a table holds beside JSON's values, such as a date, is written as text.
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)


class Encoder(Protocol):
    """Makes contents of the documents of a file."""

    columns: Columns
    """Columns of the records so far; none of tokens."""

    def encode(self, documents: Sequence[Document], file: SourceFile) -> list[bytes]:
        """Return the content of each document; raises as the class says."""
        ...


class RecordEncoder:
    """A document becomes a JSON object: its text, or the fields of its conversation; `domain`."""

    def __init__(self, *, typed: bool) -> None:
        """Find the types of columns too where the output is `typed`."""
        self.columns: Columns = {}
        self._typed = typed

    def encode(self, documents: Sequence[Document], file: SourceFile) -> list[bytes]:
        """See `Encoder`.

        Raises:
            InvalidSpecError: the file holds tokens, or records that do not fit into one table.
        """
        records = [_record(document, file) for document in documents]
        if file.records != "text" or not self.columns:
            found = columns_of(records, typed=self._typed)
            self.columns = merged([self.columns, found])
        return [_json(record) for record in records]


class TokenEncoder:
    """A document becomes its tokens with end-of-text."""

    def __init__(self, tokenizer: "Tokenizer", described: dict[str, Any]) -> None:
        """Use `tokenizer`; `described` is what the manifest says of the job's."""
        from tandem_engine.data.tokenise import token_dtype  # noqa: PLC0415 - imports transformers

        self.columns: Columns = {}
        self.dtype: np.dtype[Any] = np.dtype(token_dtype(tokenizer.vocabulary_size))
        self.end_of_text = tokenizer.end_of_text
        self._tokenizer = tokenizer
        self._job = described.get("fingerprint")

    def encode(self, documents: Sequence[Document], file: SourceFile) -> list[bytes]:
        """See `Encoder`.

        Raises:
            InvalidSpecError: the file holds conversations, or tokens of another tokenizer.
            DatasetMalformedError: the file holds an id that is not in the vocabulary.
        """
        from tandem_engine.data.encode import encode_texts, encode_tokens  # noqa: PLC0415 - as above

        if file.records != "text":
            raise InvalidSpecError(
                f"{file.shown} holds conversations, whose loss mask tokens alone do not carry",
                field="format",
                value=file.records,
                hint="write jsonl, parquet or mds",
            )
        if documents and documents[0].tokens is not None:
            if self._job not in {None, self._tokenizer.fingerprint}:
                raise InvalidSpecError(
                    f"{file.shown} holds tokens of the job's tokenizer, not of the given one",
                    field="tokenizer",
                    value=self._tokenizer.name,
                    hint="give the tokenizer that the job read the tokens with",
                )
            found = [encode_tokens(document, self._tokenizer, file) for document in documents]
        else:
            found = encode_texts(documents, self._tokenizer)
        return [ids.astype(self.dtype, copy=False).tobytes() for ids in found]


def token_encoder(manifest: Manifest, tokenizer_path: str | None) -> TokenEncoder:
    """Return what makes tokens of documents.

    Args:
        manifest: Names the job's tokenizer, or holds it.
        tokenizer_path: Folder or hub name of a Hugging Face tokenizer; None is the job's.

    Raises:
        InvalidSpecError: the job's tokenizer is elsewhere, or there was none, and none was given.
    """
    described = manifest.head["tokenizer"]
    own = manifest.folder / "tokenizer"
    if tokenizer_path is None and described.get("kind") != "bytes":
        if not own.is_dir():
            name = described.get("name")
            which = f"with the tokenizer {name!r}, which it does not hold"
            raise InvalidSpecError(
                f"the manifest was made {which if described else 'without a tokenizer'}",
                field="tokenizer",
                value=name,
                hint="give its folder or its name on the hub (--tokenizer)",
            )
        tokenizer_path = str(own)
    return TokenEncoder(_tokenizer(tokenizer_path), described)


def tokenizer_argument(given: str | None) -> str | None:
    """Return a folder as an absolute path, and a name on the hub as it is."""
    if given is not None and Path(given).is_dir():
        return str(Path(given).resolve())
    return given


# A worker deals many files, and a large tokenizer takes seconds to load.
@lru_cache(maxsize=1)
def _tokenizer(path: str | None) -> "Tokenizer":
    from tandem_engine.contracts.models import TokenizerSpec  # noqa: PLC0415 - only tokens need it
    from tandem_engine.data.tokenise import (  # noqa: PLC0415 - imports transformers
        HuggingFaceTokenizer,
        load_tokenizer,
    )

    return load_tokenizer(TokenizerSpec()) if path is None else HuggingFaceTokenizer(path)


def _json(record: dict[str, Any]) -> bytes:
    try:
        return _ENCODER.encode(record).encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, beside the texts, which were checked
        return json.dumps(record, default=str).encode("ascii")


def _record(document: Document, file: SourceFile) -> dict[str, Any]:
    if document.tokens is not None:
        raise InvalidSpecError(
            f"{file.shown} holds tokens, which cannot be written as records",
            field="format",
            value=file.format,
            hint="write megatron or tokens",
        )
    record: dict[str, Any] = {"text": document.text}
    if document.record is not None and file.records != "text":
        known = RECORD_FIELDS[file.records]
        # A field that is null says no more than one that is missing.
        fields = {name: document.record.get(name) for name in known}
        record = {name: value for name, value in fields.items() if value is not None}
    record["domain"] = file.name
    return record
