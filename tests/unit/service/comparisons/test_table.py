"""The table of a comparison, against arithmetic done by hand."""

import math

import pytest
from support.comparisons import outcome

from service.comparisons.outcomes import CellOutcome
from service.comparisons.table import tabulate
from service.comparisons.words import findings
from service.jobs.lifecycle import JobState
from service.jobs.schemas import JobError

ENTRIES = [("ours", "tandem"), ("theirs", "tandem"), ("late", "tandem")]
CELLS = [
    outcome("ours", 0, (2.0, 3.0), alpha=(0.6, 0.4), seconds=10.0, work=100.0),
    outcome("ours", 1, (2.2, 3.2), alpha=(0.8, 0.2), seconds=14.0, work=100.0),
    outcome("theirs", 0, (1.8, 2.8)),
    outcome("theirs", 1, (1.9, 3.1)),
    outcome("late", 0, state=JobState.RUNNING),
]


def test_perplexities_are_of_mean_losses_and_spread_over_seeds() -> None:
    table = tabulate(ENTRIES, CELLS, 2)
    ours = next(row for row in table.entries if row.entry == "ours")
    assert ours.perplexity == pytest.approx([math.exp(2.1), math.exp(3.1)])
    first, second = math.exp(2.0), math.exp(2.2)
    assert ours.perplexity_sd is not None
    assert ours.perplexity_sd[0] == pytest.approx(abs(second - first) / math.sqrt(2))
    assert ours.average_loss == pytest.approx((2.5 + 2.7) / 2)
    assert ours.average_loss_sd == pytest.approx(0.2 / math.sqrt(2))
    assert ours.average_perplexity == pytest.approx(math.exp(2.6))
    assert ours.alpha == pytest.approx([0.7, 0.3])
    assert ours.learning_seconds == pytest.approx(12.0)
    assert ours.learning_seconds_sd == pytest.approx(4.0 / math.sqrt(2))
    assert (ours.proxy_steps, ours.flops) == pytest.approx((100.0, 1e11))
    assert ours.loss_by_seed == pytest.approx({0: 2.5, 1: 2.7})


def test_the_best_comes_first_and_what_is_not_finished_last() -> None:
    table = tabulate(ENTRIES, CELLS, 2)
    assert [row.entry for row in table.entries] == ["theirs", "ours", "late"]
    late = table.entries[-1]
    assert (late.seeds_done, late.seeds_total, late.average_loss) == (0, 2, None)
    assert table.domains == table.evaluated_on == ["code", "manuals"]


def test_a_failed_cell_is_missing_in_its_own_entry_only() -> None:
    error = JobError(code="diverged", message="a loss is not finite", retryable=False)
    failed = outcome("ours", 1, state=JobState.FAILED, error=error)
    cells: list[CellOutcome] = [CELLS[0], failed, *CELLS[2:]]
    rows = {row.entry: row for row in tabulate(ENTRIES, cells, 2).entries}
    assert rows["ours"].seeds_done == 1
    assert rows["ours"].average_loss == pytest.approx(2.5)
    assert rows["ours"].average_loss_sd is None
    assert rows["ours"].failures == ["seed 1: diverged: a loss is not finite"]
    assert rows["theirs"].seeds_done == 2
    assert rows["theirs"].failures == []


def test_a_table_without_results_is_empty_but_there() -> None:
    table = tabulate(ENTRIES, [], 2)
    assert [row.entry for row in table.entries] == ["ours", "theirs", "late"]
    assert table.pairs == []
    assert findings(table)[-1] == "No cell has finished yet."


def test_scores_of_tasks_are_means_over_seeds() -> None:
    cells = [
        outcome("ours", 0, (2.0, 3.0), metrics=[0.4, None]),
        outcome("ours", 1, (2.0, 3.0), metrics=[0.6, None]),
    ]
    (ours, *_) = tabulate(ENTRIES, cells, 2).entries
    assert ours.metrics == [pytest.approx(0.5), None]
    assert ours.metrics_sd == [pytest.approx(0.2 / math.sqrt(2)), None]
    assert ours.metric_average == pytest.approx(0.5)


def test_the_words_say_what_is_ahead_and_what_is_only_noise() -> None:
    cells = [
        outcome(entry, seed, (loss + noise + seed / 10,) * 2)
        for entry, loss in (("ours", 2.0), ("theirs", 2.001), ("late", 3.0))
        for seed, noise in enumerate((0.0, 0.004 if entry == "theirs" else -0.003, 0.002))
    ]
    text = " ".join(findings(tabulate(ENTRIES, cells, 3)))
    assert "Lowest average test perplexity: ours" in text
    assert "It is better than late, each taken alone" in text
    assert "3, this holds for late." in text
    assert "It cannot be told apart from theirs." in text
    assert "not finished" not in text
