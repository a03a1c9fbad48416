"""A comparison's cells: the same data and compute for all, differences as the entries say."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from tandem_engine.contracts.comparisons import ComparisonSpec, budget, cells, cost
from tandem_engine.contracts.methods.registry import METHOD_NAMES
from tandem_engine.errors import InvalidSpecError

EXAMPLES = Path(__file__).parents[3] / "examples"
DOMAINS = [{"name": name, "uris": [f"file:///data/{name}.jsonl"]} for name in "abcdefg"]


def comparison(entries: list[Any], **changes: Any) -> ComparisonSpec:
    return ComparisonSpec.model_validate(
        {"base": {"domains": DOMAINS, "seed": 5}, "entries": entries} | changes
    )


def test_there_is_a_cell_for_each_entry_and_seed_seed_by_seed() -> None:
    found = cells(comparison(["tandem", "uniform"], seeds=2))
    assert [(cell.entry, cell.seed) for cell in found] == [
        ("tandem", 0),
        ("uniform", 0),
        ("tandem", 1),
        ("uniform", 1),
    ]


def test_cells_of_one_seed_share_its_root_and_all_share_the_split() -> None:
    found = cells(comparison(["tandem", "doge"], seeds=2))
    assert [cell.spec.seed for cell in found] == [5, 5, 6, 6]
    assert {cell.spec.split_seed for cell in found} == {5}


def test_a_cell_trains_its_own_mixture_only_and_once() -> None:
    for cell in cells(comparison(["tandem", "natural"])):
        evaluation = cell.spec.evaluation
        assert (evaluation.mixtures, evaluation.custom, evaluation.seeds) == ([], {}, 1)


def test_every_method_gets_the_most_steps_that_the_same_compute_pays_for() -> None:
    wanted = comparison(list(METHOD_NAMES), seeds=1)
    allowed = budget(wanted)
    for cell in cells(wanted):
        assert cost(cell.spec) <= allowed
        learning = cell.spec.learning
        more = learning.total_steps + 16 * learning.episode_steps
        longer = cell.spec.evolve(learning=learning.model_dump() | {"total_steps": more})
        assert cost(longer) > allowed or cell.spec.run_length.steps == 1


def test_the_budget_is_what_tandem_takes_unless_it_is_given() -> None:
    # 26 episodes: 30 steps of u, 2 x 20 batches of w; 3 cosines and 52 readings of 7 x 32 rows.
    by_hand = 26 * 70 + 3 * 224 / 32 + 52 * 224 / 32 / 3
    assert budget(comparison(["tandem", "uniform"])) == pytest.approx(by_hand)
    assert budget(comparison(["tandem", "uniform"], learning_budget=500)) == 500


def test_steps_stay_as_they_are_without_equal_compute() -> None:
    found = cells(comparison(["tandem", "doremi"], equal_compute=False, seeds=1))
    assert [cell.spec.learning.total_steps for cell in found] == [800, 800]


def test_an_entry_may_differ_in_learning_training_and_model() -> None:
    entry = {
        "name": "small",
        "learning": {"probing_steps": 1, "free_steps": 1},
        "training": {"batch_size": 8},
        "model": {"hidden_size": 32},
    }
    (cell, _) = cells(comparison([entry, "tandem"], seeds=1))
    assert cell.spec.learning.probing_steps == 1
    assert cell.spec.training.batch_size == 8
    assert cell.spec.model.hidden_size == 32
    assert cell.spec.model.layers == 2  # of the preset


def test_an_entry_that_does_not_fit_is_named() -> None:
    with pytest.raises(InvalidSpecError, match="entry 'odd' does not fit the base"):
        cells(comparison([{"name": "odd", "learning": {"probing_step": 3}}, "uniform"]))


def test_a_method_may_need_more_steps_than_the_base_has_if_the_budget_pays_for_them() -> None:
    many = [{"name": f"d{n:02}", "uris": [f"file:///data/{n}.jsonl"]} for n in range(60)]
    aioli_of_many = {"method": {"kind": "aioli", "validation_sequences": 1}}
    wanted = {"base": {"domains": many}, "entries": ["tandem", aioli_of_many], "seeds": 1}
    (_, aioli) = cells(ComparisonSpec.model_validate(wanted))
    assert aioli.spec.learning.total_steps > 800
    with pytest.raises(InvalidSpecError, match="leaves no step for a visit"):
        cells(ComparisonSpec.model_validate(wanted | {"equal_compute": False}))


def test_a_budget_too_small_for_a_method_is_told_with_the_entry() -> None:
    with pytest.raises(InvalidSpecError, match="entry 'regmix' cannot learn anything") as caught:
        cells(comparison(["uniform", "regmix"], learning_budget=100))
    assert caught.value.field == "learning_budget"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"entries": ["tandem", "tandem"]}, "two entries are called 'tandem'"),
        ({"entries": ["tandem"]}, "at least 2 items"),
        ({"entries": ["tandem", "nonsense"]}, "nonsense"),
        (
            {
                "entries": ["tandem", "doge"],
                "base": {"domains": DOMAINS, "evaluation": {"enabled": False}},
            },
            "a comparison needs stage two",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ComparisonSpec.model_validate({"base": {"domains": DOMAINS}} | changes)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_comparisons_that_fit_together(path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    text = yaml.safe_dump(document).replace("data/software", "/data/software")
    found = cells(ComparisonSpec.model_validate(yaml.safe_load(text)))
    assert len(found) >= 6
    assert all(cell.spec.runtime.device == "cpu" for cell in found)
