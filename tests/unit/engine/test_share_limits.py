"""Bounds on shares: what they are for given sizes, what they contradict, and their words."""

import pytest
import torch
from torch import Tensor

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.errors import InvalidSpecError
from tandem_engine.share_limits import ShareLimits, share_limits

TOKENS = [600, 300, 100]


def domains(*bounds: dict[str, float]) -> list[DomainSpec]:
    return [
        DomainSpec.model_validate({"name": name, "uris": [f"/{name}.jsonl"]} | given)
        for name, given in zip("abc", bounds, strict=True)
    ]


def limits(*bounds: dict[str, float], target: int = 1000) -> ShareLimits:
    found = share_limits(domains(*bounds), TOKENS, target)
    assert found is not None
    return found


def mixtures(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_a_cap_of_epochs_is_a_share_of_the_target() -> None:
    found = limits({}, {"maximum_epochs": 0.5}, {"maximum_epochs": 4}, target=2000)
    assert found.bounds.upper_M.tolist() == [1.0, 0.5 * 300 / 2000, 4 * 100 / 2000]
    assert found.bounds.lower_M.tolist() == [0.0, 0.0, 0.0]


def test_the_tighter_of_two_caps_counts() -> None:
    by_share = {"maximum_epochs": 4, "maximum_share": 0.3}
    by_epochs = {"maximum_epochs": 1, "maximum_share": 0.3}
    assert limits({}, {}, by_share).bounds.upper_M[2] == 0.3
    assert limits({}, {}, by_epochs).bounds.upper_M[2] == 0.1


@pytest.mark.parametrize(
    "bounds", [{}, {"maximum_epochs": 100.0}, {"minimum_share": 0.0, "maximum_share": 1.0}]
)
def test_bounds_that_cannot_bind_are_none(bounds: dict[str, float]) -> None:
    assert share_limits(domains({}, {}, bounds), TOKENS, 1000) is None


def test_a_cap_below_the_minimum_is_refused_and_the_fix_is_enough() -> None:
    with pytest.raises(
        InvalidSpecError, match=r"caps its share at 0.1 .* minimum_share 0.25"
    ) as caught:
        limits({}, {}, {"maximum_epochs": 1, "minimum_share": 0.25})
    assert (caught.value.field, caught.value.value) == ("domains.c.maximum_epochs", "1.0")
    assert "raise maximum_epochs to 2.5 or more" in caught.value.hint
    limits({}, {}, {"maximum_epochs": 2.5, "minimum_share": 0.25})


def test_caps_that_leave_less_than_the_target_are_refused_and_the_fix_is_enough() -> None:
    bounds = [{"maximum_epochs": 1}, {"maximum_epochs": 2}, {"maximum_share": 0.2}]
    with pytest.raises(InvalidSpecError, match=r"allow 80.0000% of 2000 target tokens") as caught:
        limits(*bounds, target=2000)
    assert (caught.value.field, caught.value.value) == ("manifest.target_tokens", "2000")
    # By hand: 1200 / N + 0.2 = 1 at N = 1500.
    assert "set manifest.target_tokens to 1500 or less" in caught.value.hint
    limits(*bounds, target=1500)
    with pytest.raises(InvalidSpecError):
        limits(*bounds, target=1501)


def test_bounds_that_held_are_told_with_their_reason() -> None:
    found = limits({"minimum_share": 0.2}, {"maximum_epochs": 2}, {"maximum_share": 0.4})
    assert found.active(mixtures([0.2, 0.6, 0.2], [0.2, 0.4, 0.4], [0.2, 0.4, 0.4])) == [
        "the floor of minimum_share holds for domain a at 0.2",
        "the cap of 2 epochs held for domain b at 0.6 in 1 of the last 3 episodes",
        "the cap of maximum_share held for domain c at 0.4 in 2 of the last 3 episodes",
    ]
    assert found.active(mixtures([0.3, 0.4, 0.3])) == []


def test_a_share_of_zero_is_no_bound_that_holds() -> None:
    found = limits({}, {}, {"maximum_share": 0.4})
    assert found.active(mixtures([1.0, 0.0, 0.0])) == []


def test_a_fixed_share_is_told_once() -> None:
    found = limits({}, {}, {"minimum_share": 0.25, "maximum_share": 0.25})
    assert found.active(mixtures([0.5, 0.25, 0.25])) == [
        "the bounds fix the share of domain c at 0.25"
    ]


def test_mixtures_outside_the_bounds_are_named() -> None:
    found = limits({"minimum_share": 0.2}, {}, {"maximum_share": 0.4})
    given = {"low": [0.1, 0.6, 0.3], "high": [0.3, 0.2, 0.5], "in": [0.2, 0.4, 0.4]}
    assert found.broken_by(given) == ["low", "high"]
