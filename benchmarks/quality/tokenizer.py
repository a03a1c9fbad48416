"""A small BPE tokenizer of a corpus' train text, so that a small model gets past its letters."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tandem_engine.data.own_tokenizer import train_bpe

VOCABULARY = 512


def build_tokenizer(files: Sequence[Path], folder: Path) -> Path:
    """Train a byte-level BPE on JSON-lines files into `folder`, unless it is there; return it."""
    if not folder.exists():
        train_bpe(_texts(files), VOCABULARY, folder)
    return folder


def _texts(files: Sequence[Path]) -> Iterator[str]:
    for path in files:
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)["text"]
