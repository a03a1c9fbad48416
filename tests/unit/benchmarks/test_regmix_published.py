"""The benchmark on RegMix's published runs, on files of the same form with known weights."""

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks.regmix_published import TARGET, main
from tandem_engine.methods.swarm import scatter

NAMES = [f"train_the_pile_{letter}" for letter in "abcde"]
WEIGHT = np.array([1.0, 0.2, 0.5, 0.1, 0.3])


def write(path: Path, header: list[str], rows: list[list[float]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["index", *header])
        # Losses and mixtures stand in a different order, as they may.
        order = range(len(rows)) if "mixture" in path.name else range(len(rows) - 1, -1, -1)
        writer.writerows([index, *rows[index]] for index in order)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(3)
    for part, size, count in (
        ("train", "1m", 200),
        ("test", "1m", 60),
        ("test", "60m", 60),
        ("test", "1B", 40),
    ):
        mixtures = scatter(np.full(5, 0.2), count, generator)
        losses = 4.0 - mixtures @ WEIGHT + generator.normal(0, 0.01, count)
        write(tmp_path / f"{part}_mixture_{size}.csv", NAMES, mixtures.tolist())
        write(tmp_path / f"{part}_pile_loss_{size}.csv", [TARGET], losses[:, None].tolist())
    return tmp_path


def test_losses_of_known_weights_are_ranked_for_every_size(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines][3:] == [
        ["linear", "1m", "60"],
        ["linear", "60m", "60"],
        ["linear", "1B", "40"],
    ]
    assert min(float(line.split()[-1]) for line in lines) > 0.9


def test_a_missing_file_is_named_with_where_to_get_it(folder: Path) -> None:
    (folder / "test_mixture_1B.csv").unlink()
    with pytest.raises(SystemExit, match=r"test_mixture_1B\.csv is missing"):
        main([str(folder)])


def test_an_unknown_target_lists_the_known_ones(folder: Path) -> None:
    with pytest.raises(SystemExit, match="there are metric/the_pile_pile_cc_val_loss"):
        main([str(folder), "--target", "nonsense"])
