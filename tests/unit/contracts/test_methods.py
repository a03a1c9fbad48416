"""Settings of methods: what they cost, and what they refuse."""

from typing import Any

import pytest
from pydantic import ValidationError

from tandem_engine.contracts.methods.base import JobSize
from tandem_engine.contracts.methods.online import AioliMethod, DogeMethod, DoremiMethod
from tandem_engine.contracts.methods.registry import METHOD_NAMES
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import InvalidSpecError
from tandem_engine.presets import resolve

SIZE = JobSize(
    total_steps=100,
    probing_steps=6,
    free_steps=4,
    batch=8,
    domains=3,
    judges=3,
    delta_rows=12,
    gradient_cosine_every=0,
)
DOMAINS = [{"name": name, "uris": [f"file:///data/{name}.jsonl"]} for name in "abc"]


def spec(**changes: Any) -> JobSpec:
    return JobSpec.model_validate({"domains": DOMAINS} | changes)


def test_doremi_trains_two_models_and_reads_with_one() -> None:
    length = DoremiMethod(rounds=2).length(SIZE)
    assert (length.episodes, length.steps) == (40, 400)
    assert (length.trained_rows, length.read_rows) == (400 * 8, 200 * 8)


def test_doge_trains_on_validation_rows_too_and_once_more_to_save_memory() -> None:
    assert DogeMethod().length(SIZE).trained_rows == 2 * 100 * 8
    assert DogeMethod(low_memory=True).length(SIZE).trained_rows == 3 * 100 * 8


@pytest.mark.parametrize("kind", METHOD_NAMES)
def test_a_copy_keeps_the_method(kind: str) -> None:
    copied = resolve(spec(method={"kind": kind})).evolve(seed=3)
    assert copied.method.kind == kind
    assert resolve(copied) == copied


def test_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="'doremi', 'doge', 'skill_it'"):
        spec(method={"kind": "best"})


def test_steps_too_few_for_a_method_are_told_with_how_many_are_needed() -> None:
    learning = {"total_steps": 100, "probing_steps": 20, "free_steps": 10}
    with pytest.raises(InvalidSpecError, match="for each of 16 proxies") as caught:
        resolve(spec(method={"kind": "regmix"}, learning=learning))
    assert caught.value.field == "learning.total_steps"
    assert "480" in caught.value.hint


def test_a_focus_no_larger_than_an_even_share_is_refused() -> None:
    with pytest.raises(ValueError, match=r"raise method.focus above 0\.3333"):
        AioliMethod(focus=0.3).length(SIZE)


def test_restarts_are_for_tandem() -> None:
    with pytest.raises(ValidationError, match=r"learning.restarts 1 are for the method 'tandem'"):
        spec(method={"kind": "doge"}, learning={"restarts": 1})
