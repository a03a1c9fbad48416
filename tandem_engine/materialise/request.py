"""What a caller asks for: the manifest, the folder, the format and the order."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

OutputFormat = Literal["jsonl", "parquet", "mds", "megatron", "tokens"]

RECORD_FORMATS: frozenset[OutputFormat] = frozenset({"jsonl", "parquet", "mds"})
"""Formats that hold texts or conversations; the others hold tokens."""


@dataclass(frozen=True, slots=True)
class MaterialiseRequest:
    """What to write."""

    manifest: Path
    out: Path
    format: OutputFormat = "jsonl"
    compression: str | None = None
    """`gzip`, `zstd` or None; of `jsonl` only."""
    parts: int | None = None
    """Files of the corpus; None is by size."""
    tokenizer: str | None = None
    """Folder or hub name, for formats of tokens; None is the job's."""
    order_seed: int = 0
