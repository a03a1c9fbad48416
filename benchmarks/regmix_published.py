"""`python -m benchmarks.regmix_published FOLDER`: our regression on RegMix's published runs.

FOLDER is `data` of a clone of https://github.com/sail-sg/regmix (MIT), which is not shipped here:
512 mixtures of 17 domains of the Pile with the losses of 1M proxies, and the mixtures and losses
of unseen models of 1M, 60M and 1B parameters. Prints Spearman's rank correlation of predicted and
real losses; what came out is in `docs/experiments.md`.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from tandem_engine.methods.regmix import predicted_losses

Table = NDArray[np.float64]
TARGET = "metric/the_pile_pile_cc_val_loss"
UNSEEN = ("1m", "60m", "1B")


def read(folder: Path, part: str, size: str, target: str) -> tuple[Table, Table]:
    """Return mixtures, shape (N, M), and the target's losses, shape (N,), matched by index.

    Raises:
        SystemExit: a file or the target's column is missing.
    """
    mixtures = _rows(folder / f"{part}_mixture_{size}.csv")
    losses = _rows(folder / f"{part}_pile_loss_{size}.csv")
    known = losses[next(iter(losses))]
    if target not in known:
        raise SystemExit(f"no column {target!r}; there are {', '.join(sorted(known))}")
    common = [index for index in mixtures if index in losses]
    columns = sorted(next(iter(mixtures.values())))
    shares = np.array([[mixtures[index][column] for column in columns] for index in common])
    return shares, np.array([losses[index][target] for index in common])


def _rows(path: Path) -> dict[str, dict[str, float]]:
    if not path.is_file():
        raise SystemExit(f"{path} is missing; give the folder `data` of a clone of sail-sg/regmix")
    with path.open(encoding="utf-8", newline="") as lines:
        return {
            row.pop("index"): {name: float(value) for name, value in row.items()}
            for row in csv.DictReader(lines)
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line per regressor and size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regmix_published")
    parser.add_argument("folder", type=Path, help="`data` of a clone of sail-sg/regmix")
    parser.add_argument("--target", default=TARGET, help="column of the loss to predict")
    chosen = parser.parse_args(arguments)
    tried, losses = read(chosen.folder, "train", "1m", chosen.target)
    for kind in ("lightgbm", "linear"):
        for size in UNSEEN:
            unseen, real = read(chosen.folder, "test", size, chosen.target)
            predicted = predicted_losses(kind, tried, losses[:, None], unseen)[:, 0]
            rank = spearmanr(predicted, real).statistic
            print(f"{kind:8} {size:>3}  {len(real):3} unseen mixtures  rank correlation {rank:.4f}")


if __name__ == "__main__":
    main()
