import itertools
from pathlib import Path

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.palette import DOMAIN_COLOURS, domain_colours, spread
from demo.plots import Trajectory, draw_comparison, draw_trajectory
from tandem_engine.contracts.records import StageTwoRow

DOMAINS = ["code", "legal", "manual"]
NATURAL = [0.7, 0.2, 0.1]


def row(mixture: str, perplexity: list[float], deviation: float | None) -> StageTwoRow:
    return StageTwoRow(
        mixture=mixture,
        alpha=NATURAL,
        epochs=[1, 2, 3],
        perplexity=perplexity,
        average_perplexity=6.0,
        average_loss=1.79,
        average_loss_sd=deviation,
        seeds=2,
    )


def test_a_colour_stays_with_a_domain_whatever_the_order() -> None:
    assert domain_colours(["b", "a"]) == domain_colours(["a", "b"])
    assert len(set(domain_colours([str(i) for i in range(10)]).values())) == len(DOMAIN_COLOURS)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_labels_keep_their_order_distance_and_range(positions: list[float]) -> None:
    placed = spread(positions, 0.05, 0, 1)
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    for lower, upper in itertools.pairwise(order):
        assert placed[upper] - placed[lower] >= 0.05 - 1e-9
    assert min(placed) >= -1e-9
    assert max(placed) <= 1 + 1e-9


def test_labels_that_are_far_apart_stay() -> None:
    assert spread([0.1, 0.5, 0.9], 0.05, 0, 1) == pytest.approx([0.1, 0.5, 0.9])


def test_the_trajectory_becomes_a_picture_of_readable_size(tmp_path: Path) -> None:
    alpha = [[1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]]
    path = tmp_path / "trajectory.png"
    draw_trajectory(Trajectory(DOMAINS, [0, 10], alpha), NATURAL, alpha[-1], path)
    height, width, _ = mpl.image.imread(path).shape
    assert width > 1500
    assert height > 700
    assert [entry.name for entry in tmp_path.iterdir()] == ["trajectory.png"]


@pytest.mark.parametrize("deviation", [None, 0.01])
def test_the_comparison_becomes_a_picture(tmp_path: Path, deviation: float | None) -> None:
    path = tmp_path / "comparison.png"
    rows = [row("tandem", [5, 6, 7], deviation), row("natural", [6, 6, 6], deviation)]
    draw_comparison(DOMAINS, rows, path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_same_data_give_the_same_picture(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_trajectory(
            Trajectory(DOMAINS, [0, 10], [NATURAL, NATURAL]), NATURAL, NATURAL, tmp_path / name
        )
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
