"""`python -m benchmarks.quality.prepare`: write a corpus for the comparisons in `examples`.

Seven domains of real text from installed packages as JSON lines, what they are tested on, and a
small tokenizer, under `examples/data/CORPUS`. What is there already stays.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quality.corpora import CORPORA, build
from benchmarks.quality.tokenizer import build_tokenizer


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a corpus and say where."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality.prepare", description=__doc__
    )
    parser.add_argument("--corpus", choices=sorted(CORPORA), default="software")
    parser.add_argument("--out", type=Path, default=Path("examples/data"))
    chosen = parser.parse_args(arguments)
    folder = chosen.out / chosen.corpus
    files = build(chosen.corpus, folder / "texts")
    build_tokenizer([paths.train for paths in files.values()], folder / "tokenizer")
    print(f"{len(files)} domains, their held-back text and a tokenizer lie in {folder}")


if __name__ == "__main__":
    main()
