"""The quality benchmark's arithmetic: differences by hand, an oracle that finds a known optimum."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.comparison import compare, t_interval
from benchmarks.quality.corpora import CORPORA
from benchmarks.quality.report import rivals_table, table
from benchmarks.quality.study import VARIANTS, job, with_learning
from benchmarks.quality.surrogate import fit, geometric_middle, mixtures_around

LOSSES = {
    "tandem": [1.0, 1.2],
    "uniform": [1.4, 1.4],
    "oracle": [0.9, 1.1],
}


def test_differences_are_taken_replicate_by_replicate() -> None:
    rows = compare(LOSSES, against="tandem", worst="uniform", oracle="oracle", seed=0)
    assert [row.name for row in rows] == ["oracle", "tandem", "uniform"]
    uniform = rows[-1]
    assert uniform.difference == pytest.approx(0.3)
    # Differences 0.4 and 0.2: standard deviation 0.1414, over the root of two.
    assert uniform.difference_error == pytest.approx(0.1)
    assert rows[1].gain_share == pytest.approx(0.3 / 0.4)
    assert rows[0].gain_share == 1.0
    assert rows[1].gain_low <= 0.75 <= rows[1].gain_high


def test_a_single_replicate_has_no_error_and_is_refused() -> None:
    with pytest.raises(ValueError, match="two or more"):
        compare({"x": [1.0]}, against="x", worst="x", oracle="x", seed=0)


def test_the_interval_of_a_mean_is_students() -> None:
    low, high = t_interval([1.0, 3.0])
    # 2 plus or minus t(.975, 1) * sqrt(2) / sqrt(2).
    assert (low, high) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-3)


def test_the_tables_name_the_better_side_by_sign() -> None:
    rows = compare(LOSSES, against="tandem", worst="uniform", oracle="oracle", seed=0)
    assert "| uniform | 1.4000 | +0.3000 |" in table(rows, against="tandem")
    assert "| uniform | -0.3000 | 0.1000 | -3.0 |" in rivals_table(rows, learned="tandem")


def test_the_oracle_finds_the_optimum_of_losses_that_it_can_express() -> None:
    # With L_m = c_m (log a_m - log t_m)^2 and equal c, the least mean on the simplex is a = t.
    truth = np.array([0.5, 0.3, 0.2])
    tried = mixtures_around([0.4, 0.3, 0.3], 40, seed=1)
    seeds = [place % 2 for place in range(40)]
    losses = [
        ((np.log(mixture) - np.log(truth)) ** 2 + 0.1 * seed).tolist()
        for mixture, seed in zip(tried, seeds, strict=True)
    ]
    assert np.abs(np.array(fit(tried, losses, seeds).best()) - truth).sum() < 0.02


@given(st.integers(1, 30), st.integers(0, 5))
def test_tried_mixtures_are_on_the_simplex_and_mirror_each_other(count: int, seed: int) -> None:
    centre = np.array([0.5, 0.3, 0.2])
    found = mixtures_around(centre.tolist(), count, seed=seed)
    assert len(found) == count
    assert all(math.isclose(sum(mixture), 1.0) and min(mixture) > 0 for mixture in found)
    for first, second in zip(found[::2], found[1::2], strict=False):
        middle = geometric_middle(first, second)
        assert np.allclose(middle, centre / centre.sum())


def test_both_corpora_have_five_domains_or_more_of_different_sizes() -> None:
    assert len(CORPORA) >= 2
    for sources in CORPORA.values():
        sizes = [source.train_bytes for source in sources.values()]
        assert len(sizes) >= 5
        assert max(sizes) > 10 * min(sizes)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_a_valid_specification(name: str, tmp_path: Path) -> None:
    from benchmarks.quality.corpora import DomainFiles

    files = {n: DomainFiles(tmp_path / f"{n}.t", tmp_path / f"{n}.h") for n in ("a", "b")}
    spec = job(files, tmp_path / "tokenizer")
    changed = with_learning(spec, 3, VARIANTS[name])
    assert changed.seed == 3
    assert [target.name for target in spec.targets] == ["a (held)", "b (held)"]
    assert (name == "tandem") == (changed.learning == spec.learning)
