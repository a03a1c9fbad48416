"""Points as Arrow: the IPC stream and Parquet, one record batch or row group per piece."""

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from service.jobs.repository.trajectory import PointRow
from service.jobs.trajectory_columns import SCALARS, Layout, table
from tandem_engine.contracts.records import TrajectoryPoint

Chunks = Iterable[Sequence[PointRow]]


def arrow_pieces(chunks: Chunks, layout: Layout) -> Iterator[bytes]:
    """Yield an Arrow IPC stream."""
    drain, schema = _Drain(), _schema(layout)
    with pa.ipc.new_stream(drain, schema) as writer:
        yield drain.take()
        for points in chunks:
            writer.write_batch(_batch(points, layout, schema))
            yield drain.take()
    yield drain.take()


def parquet_pieces(chunks: Chunks, layout: Layout) -> Iterator[bytes]:
    """Yield a Parquet file."""
    drain, schema = _Drain(), _schema(layout)
    with pq.ParquetWriter(drain, schema, compression="zstd") as writer:
        for points in chunks:
            writer.write_batch(_batch(points, layout, schema))
            yield drain.take()
    yield drain.take()


class _Drain(io.RawIOBase):
    """A file that forgets what was taken out of it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        piece = bytes(content)
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        """Stay open: the end of a file is written just before it is closed, and taken after."""

    def take(self) -> bytes:
        """Return what was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _schema(layout: Layout) -> Any:
    kinds = {name: _kind(name) for name in SCALARS}
    return pa.schema([(name, kinds.get(name, pa.float64())) for name in layout.header])


def _kind(name: str) -> Any:
    annotation = TrajectoryPoint.model_fields[name].annotation
    if annotation is bool:
        return pa.bool_()
    return pa.int64() if annotation is int else pa.float64()


def _batch(points: Sequence[PointRow], layout: Layout, schema: Any) -> Any:
    columns = zip(table(points, layout), schema.types, strict=True)
    return pa.record_batch([pa.array(values, kind) for values, kind in columns], schema=schema)
