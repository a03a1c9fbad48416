"""Records out of Parquet and of Arrow, as Hugging Face datasets are saved."""

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tandem_engine.inputs.files import SourceFile
from tandem_engine.inputs.records import Row, wanted_columns

_ROWS = 32
"""Few: in a dictionary one value of megabytes may stand in each row, as often in memory."""
_DAMAGED = (pa.ArrowException, MemoryError, OverflowError, ValueError, OSError)
_ARROW_FILE = b"ARROW1"


def parquet_rows(file: SourceFile, stream: BinaryIO) -> Iterator[Row]:
    """Yield a record per row.

    Raises:
        DatasetMalformedError: the file is damaged or lacks the text's column.
    """
    try:
        parquet = pq.ParquetFile(stream)
        columns = wanted_columns(file, parquet.schema_arrow.names)
        yield from _rows(parquet.iter_batches(_ROWS, columns=columns), 0)
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error
    except _DAMAGED as error:
        damaged = file.malformed(f"is not a whole Parquet file: {_shown(error)}", "write it again")
        raise file.network_error(error) or damaged from error


def arrow_rows(file: SourceFile, stream: BinaryIO) -> Iterator[Row]:
    """Yield a record per row of an Arrow file or stream; raises as `parquet_rows`."""
    try:
        start = stream.read(len(_ARROW_FILE))
        stream.seek(0)
        if start == _ARROW_FILE:
            reader = pa.ipc.open_file(stream)
            batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
        else:
            batches = reader = pa.ipc.open_stream(stream)
        columns = wanted_columns(file, reader.schema.names)
        first = 0
        for batch in batches:
            chosen = batch.select(columns)
            # Arrow is read as it lies: a wrong offset would lead anywhere in memory.
            chosen.validate(full=True)
            for begin in range(0, len(chosen), _ROWS):
                yield from _rows([chosen.slice(begin, _ROWS)], first + begin)
            first += len(chosen)
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error
    except _DAMAGED as error:
        damaged = file.malformed(f"is not whole Arrow data: {_shown(error)}", "write it again")
        raise file.network_error(error) or damaged from error


def _rows(batches: Iterator[pa.RecordBatch] | list[pa.RecordBatch], first: int) -> Iterator[Row]:
    for batch in batches:
        for row in batch.to_pylist():
            yield Row(first, f"record {first + 1}", lambda row=row: row)  # type: ignore[misc]
            first += 1


def _shown(error: Exception) -> str:
    return str(error) or "it asks for more memory than there is"


def _not_utf8(file: SourceFile, error: UnicodeDecodeError) -> Exception:
    column = repr(file.text_field) if file.records == "text" else "of the conversation"
    return file.malformed(f"column {column} is not UTF-8: {error}", "write the text as UTF-8")
