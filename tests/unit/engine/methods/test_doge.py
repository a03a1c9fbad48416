"""DoGE's step against arithmetic done by hand, and its two ways to hold gradients."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.tiny_jobs import Recorder, tiny_spec

from tandem_engine.job import run_job
from tandem_engine.methods.doge import scores, update


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_scores_by_hand() -> None:
    # Mean norm 2, so a score is rate * dot / 2; below 0 it is 0, above 5 rates it is 5 rates.
    found = scores(vector(1.0, -3.0, 40.0), vector(1.0, 2.0, 3.0), rate=0.1, clip=5.0)
    assert found.tolist() == pytest.approx([0.05, 0.0, 0.5], abs=1e-6)


def test_one_update_by_hand() -> None:
    alpha = vector(0.5, 0.3, 0.2)
    raised = [0.5 * math.exp(0.05 / 0.02), 0.3, 0.2 * math.exp(0.01 / 0.02)]
    expected = [0.9 * value / sum(raised) + 0.1 / 3 for value in raised]
    found = update(alpha, vector(0.05, 0.0, 0.01), mu=0.02, smoothing=0.1)
    assert found.tolist() == pytest.approx(expected, abs=1e-15)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=8), st.floats(1e-3, 1.0))
def test_shares_stay_on_the_simplex(dots: list[float], mu: float) -> None:
    count = len(dots)
    found_scores = scores(
        torch.tensor(dots).double(), torch.ones(count).double(), rate=1e-2, clip=5
    )
    found = update(torch.full((count,), 1 / count).double(), found_scores, mu=mu, smoothing=0.0)
    assert float(found.sum()) == pytest.approx(1.0)
    assert float(found.min()) >= 0.0


def alphas(folder: Path, out: Path, *, low_memory: bool) -> list[list[float]]:
    spec = tiny_spec(
        folder,
        method={"kind": "doge", "mu": 0.002, "low_memory": low_memory},
        training={
            "batch_size": 6,
            "context_length": 16,
            "learning_rate": 0.01,
            "gradient_clip": 1000.0,
        },
        evaluation={"enabled": False},
    )
    recorder = Recorder()
    run_job(spec, out, emit=recorder)
    return [point.alpha for point in recorder.points]


def test_low_memory_gives_the_same_alpha_where_nothing_is_clipped(tmp_path: Path) -> None:
    plain = alphas(tmp_path / "a", tmp_path / "out_a", low_memory=False)
    low = alphas(tmp_path / "b", tmp_path / "out_b", low_memory=True)
    assert plain[-1] != pytest.approx([1 / 3] * 3, abs=1e-3)
    assert plain[0] == pytest.approx(low[0], abs=1e-5)
    assert plain[-1] == pytest.approx(low[-1], abs=1e-2)
