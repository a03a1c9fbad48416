"""Grain: a mixture of repeating children gives the learned shares of tokens."""

import ast
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from interop.shares import Check, Mixture, bounds_of_counts, sources, within

grain = pytest.importorskip("grain", reason="grain is in an environment of its own")


def _domains(data: Path, texts: Mixture) -> dict[str, list[str]]:
    return {
        one.name: [row["text"] for row in sources(data, "texts", one.name)] for one in texts.domains
    }


def test_one_mixture_of_elements_gives_the_learned_shares(
    data: Path, texts: Mixture, check: Check, exported: Callable[..., ModuleType]
) -> None:
    script = exported("grain", "mixture.py")
    mixed = script.mixture(_domains(data, texts))
    assert texts.documents["grain"] == script.ELEMENTS
    read = [mixed[place] for place in range(script.ELEMENTS)]
    assert texts.documents_off(read) <= 2
    drawn = texts.tokens_of(read)
    # Grain deals elements in turn, without chance: at most one per domain is missing, beside the
    # lengths of a partial pass. Its weights are whole hundredths of the smallest: half of one more.
    rounding = {name: share / 200 for name, share in texts.shares.items()}
    counted = bounds_of_counts(texts)
    bounds = {name: bound + rounding[name] for name, bound in counted.items()}
    check("grain", texts, drawn, bounds)


def test_weights_pass_through_grain_unrounded(
    data: Path, texts: Mixture, exported: Callable[..., ModuleType]
) -> None:
    script = exported("grain", "mixture.py")
    mixed = script.mixture(_domains(data, texts))
    elements = sum(script.WEIGHTS.values()) * 10
    counts = dict.fromkeys(texts.shares, 0)
    for place in range(elements):
        counts[texts.domain_of(mixed[place][:20])] += 1
    # After whole turns there is nothing left to round.
    assert counts == {name: 10 * weight for name, weight in script.WEIGHTS.items()}
    # Half a hundredth of the smallest share, in each of two places.
    bound = min(texts.document_shares.values()) / 100
    assert within(counts, texts.document_shares, dict.fromkeys(counts, bound))


def test_weights_of_torchtitan_pass_through_grain_after_it_has_normalised_them(
    data: Path, texts: Mixture
) -> None:
    script = (data / "exports" / "torchtitan" / "mixture.py").read_text()
    (given,) = re.findall(r"^WEIGHTS = (.*)$", script, re.MULTILINE)
    weights = ast.literal_eval(given)
    children = [grain.MapDataset.source([name]).repeat() for name in weights]
    parts = [weight / sum(weights.values()) for weight in weights.values()]
    mixed = grain.MapDataset.mix(children, weights=parts)
    elements = 10 * sum(int(weight) for weight in weights.values())
    counts = Counter(mixed[place] for place in range(elements))
    assert counts == {name: 10 * int(weight) for name, weight in weights.items()}
    bound = min(texts.shares.values()) / 100
    assert within(counts, texts.shares, dict.fromkeys(counts, bound))


def test_weights_of_tokens_would_fail_the_bound(
    data: Path, texts: Mixture, exported: Callable[..., ModuleType]
) -> None:
    script = exported("grain", "mixture.py")
    script.WEIGHTS = {name: round(share * 1000) for name, share in texts.shares.items()}
    mixed = script.mixture(_domains(data, texts))
    drawn = texts.tokens_of(mixed[place] for place in range(script.ELEMENTS))
    assert not within(drawn, texts.shares, bounds_of_counts(texts))


def test_maxtext_mixes_with_the_same_weights(
    data: Path, texts: Mixture, exported: Callable[..., ModuleType]
) -> None:
    config = json.loads((data / "exports" / "maxtext" / "mixture.json").read_text())
    weights = {one.name: config[one.slug]["weight"] for one in texts.domains}
    assert weights == exported("grain", "mixture.py").WEIGHTS
