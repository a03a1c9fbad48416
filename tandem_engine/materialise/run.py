"""The steps of materialising a manifest: deal the readings to parts, then order each part.

Every step is a function of its task alone, so that the corpus is the same for any number of
workers, here or on a cluster. A task of the first step is a file, of the second a part; neither
holds more than some documents and, of the second, 32 bytes per reading. The output folder is whole
or absent.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem_engine.data.atomic import whole_directory
from tandem_engine.errors import InvalidSpecError
from tandem_engine.manifests.read import ListedFile, Manifest
from tandem_engine.materialise.columns import Columns, merged
from tandem_engine.materialise.contents import token_encoder
from tandem_engine.materialise.deal import Deal, deal
from tandem_engine.materialise.executors import Executor, LocalExecutor
from tandem_engine.materialise.request import RECORD_FORMATS, MaterialiseRequest
from tandem_engine.materialise.spills import PartReadings
from tandem_engine.materialise.writers import write_mds_index, write_part

__all__ = ["INDEX_FILE", "PART_BYTES", "MaterialiseRequest", "materialise"]

PART_BYTES = 1 << 28
"""Bytes of a part, about, where their number is not given."""
INDEX_FILE = "corpus.json"

_UNPACKED = 3
"""Bytes of text, about, in a stored byte of a file that is compressed."""
_COLUMNAR = frozenset({"parquet"})
_MOST_SEED = 2**64 - 1


@dataclass(frozen=True, slots=True)
class _Order:
    request: MaterialiseRequest
    spills: Path
    folder: Path
    part: int
    columns: Columns
    dtype: str | None


def materialise(request: MaterialiseRequest, executor: Executor | None = None) -> dict[str, Any]:
    """Write the corpus of a manifest into the new folder `request.out`; return its index.

    Raises:
        InvalidSpecError: the folder is there already, or the format does not fit the sources.
        ManifestDamagedError: the manifest or a source file is not what it was.
        TandemError: a source cannot be read, or the disk is full.
    """
    _require_sound(request)
    manifest = Manifest(request.manifest)
    files = [file for file in manifest.files if file.planned_share > 0]
    parts = request.parts or _parts(files)
    executor = executor or LocalExecutor(1)
    dtype = None
    if request.format not in RECORD_FORMATS:
        dtype = token_encoder(manifest, request.tokenizer).dtype.name
    mixture_id = manifest.head["mixture_id"]
    with whole_directory(request.out) as folder:
        spills = folder / ".spills"
        spills.mkdir()
        deals = [
            Deal(request, mixture_id, spills, parts, task, file) for task, file in enumerate(files)
        ]
        dealt = list(executor.map(deal, deals))
        columns = merged(one.columns for one in dealt)
        orders = [_Order(request, spills, folder, part, columns, dtype) for part in range(parts)]
        described = list(executor.map(_order, orders))
        shutil.rmtree(spills)
        if request.format == "mds":
            write_mds_index(folder, described)
        index = {
            "mixture_id": mixture_id,
            "format": request.format,
            "order_seed": request.order_seed,
            "dtype": dtype,
            "documents": sum(one.readings for one in dealt),
            "left_out": sum(one.left_out for one in dealt),
            "parts": described,
        }
        # MDS readers take every folder with an index.json; ours is beside it.
        (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return index


def _require_sound(request: MaterialiseRequest) -> None:
    if request.out.exists():
        raise InvalidSpecError(
            f"{request.out} is there already",
            field="out",
            value=request.out,
            hint="give a new folder, or remove this one",
        )
    if not 0 <= request.order_seed <= _MOST_SEED:
        raise InvalidSpecError(
            f"the order's seed is {request.order_seed}",
            field="order_seed",
            value=request.order_seed,
            hint="use a whole number from 0 to 2^64 - 1",
        )


def _parts(files: Sequence[ListedFile]) -> int:
    read = 0.0
    for file in files:
        packed = file.compression is not None or file.format in _COLUMNAR
        read += (file.bytes or 0) * (_UNPACKED if packed else 1) * file.planned_share
    return max(1, round(read / PART_BYTES))


def _order(order: _Order) -> dict[str, Any]:
    """Write one part in its order."""
    readings = PartReadings(order.spills, order.part)
    try:
        return write_part(
            order.folder,
            order.part,
            readings,
            output=order.request.format,
            compression=order.request.compression,
            columns=order.columns,
            dtype=order.dtype,
        )
    finally:
        readings.close()
