"""A specification is strict, ordered by name, and filled in from its preset."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import InvalidSpecError
from tandem_engine.presets import PRESETS, resolve

DOMAINS: list[dict[str, Any]] = [
    {"name": "b", "uris": ["/b.jsonl"]},
    {"name": "a", "uris": ["/a.jsonl"]},
]


def spec(**fields: Any) -> JobSpec:
    return JobSpec.model_validate({"domains": DOMAINS} | fields)


def custom(shares: dict[str, float]) -> dict[str, Any]:
    return {"kind": "custom", "shares": shares}


HALVES = {"a": 0.5, "b": 0.5}


def test_domains_are_ordered_by_name() -> None:
    assert spec().domain_names == ["a", "b"]


def test_the_order_of_mixtures_and_their_shares_changes_nothing() -> None:
    mixtures = {"x": {"b": 0.4, "a": 0.6}, "W": {"a": 0.5, "b": 0.5}}
    prior = custom({"b": 0.4, "a": 0.6})
    one = spec(learning={"prior": prior}, evaluation={"custom": mixtures})
    turned = {name: dict(sorted(mixtures[name].items())) for name in sorted(mixtures)}
    other = spec(learning={"prior": custom({"a": 0.6, "b": 0.4})}, evaluation={"custom": turned})
    assert one.model_dump_json() == other.model_dump_json()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"surprise": 1}, "surprise"),
        ({"domains": DOMAINS[:1]}, "at least 2"),
        ({"domains": [DOMAINS[0], DOMAINS[0]]}, "used twice"),
        ({"domains": [{"name": "a", "uris": ["ftp://a"]}, DOMAINS[0]]}, "file://"),
        ({"domains": [{"name": "", "uris": ["/a"]}, DOMAINS[0]]}, "pattern"),
        ({"learning": {"total_steps": 5}}, "raise total_steps"),
        ({"learning": {"penalty": 0}}, "greater than 0"),
        ({"training": {"learning_rate": float("nan")}}, "finite|greater than"),
        ({"model": {"hidden_size": 100}}, "multiple of 8"),
        ({"split": {"validation_fraction": 0.4, "test_fraction": 0.4}}, "0.5 or below"),
        ({"tokenizer": {"kind": "huggingface"}}, "`path` is needed"),
        ({"evaluation": {"mixtures": ["uniform", "uniform"]}}, "listed twice"),
        (
            {"domains": [domain | {"minimum_share": 0.6} for domain in DOMAINS]},
            "minimum_share sum to 1.2, above 1",
        ),
        (
            {"domains": [domain | {"maximum_share": 0.4} for domain in DOMAINS]},
            "maximum_share sum to 0.8, below 1",
        ),
        (
            {"domains": [DOMAINS[0] | {"minimum_share": 0.5, "maximum_share": 0.4}, DOMAINS[1]]},
            "minimum_share 0.5 of domain 'b' is above its maximum_share 0.4",
        ),
        ({"domains": [DOMAINS[0] | {"maximum_share": 1.1}, DOMAINS[1]]}, "less than or equal to 1"),
        ({"domains": [DOMAINS[0] | {"maximum_epochs": 0}, DOMAINS[1]]}, "greater than 0"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"learning": {"seeds": 0}}, "greater than or equal to 1"),
        ({"learning": {"seeds": 33}}, "less than or equal to 32"),
        ({"learning": {"restarts": 17}}, "less than or equal to 16"),
        (
            {"learning": {"initial_mixture": "natural"}},
            r"initial_mixture 'natural' was replaced by prior: .*\{\"kind\": \"natural\"\}",
        ),
        ({"learning": {"prior": {"pull": -0.1}}}, "greater than or equal to 0"),
        ({"learning": {"prior": {"kind": "custom"}}}, "`custom` needs `shares`"),
        (
            {"learning": {"prior": {"kind": "natural", "shares": {"a": 0.5, "b": 0.5}}}},
            "`shares` go with kind `custom` only, not 'natural'",
        ),
        (
            {"learning": {"prior": custom({"a": 1.0})}},
            r"learning.prior.shares has no share for 'b'",
        ),
        (
            {"learning": {"prior": custom({"a": 0.5, "b": 0.3, "c": 0.2})}},
            r"learning.prior.shares has a share for the unknown 'c'",
        ),
        ({"learning": {"prior": custom({"a": 0.5, "b": 0.4})}}, "sum to 0.9; make them sum to 1"),
        ({"learning": {"prior": custom({"a": -0.5, "b": 1.5})}}, "greater than or equal to 0"),
        ({"evaluation": {"custom": {"tandem": HALVES}}}, "'tandem' has the name of one of ours"),
        ({"evaluation": {"custom": {"unimax": HALVES}}}, "'unimax' has the name of one of ours"),
        ({"evaluation": {"custom": {"": HALVES}}}, "pattern"),
        ({"evaluation": {"custom": {"mine": {"a": 1.0}}}}, "evaluation.custom.mine has no share"),
        (
            {"evaluation": {"custom": {"mine": {"a": 0.7, "b": 0.7}}}},
            "evaluation.custom.mine sum to 1.4; make them sum to 1",
        ),
    ],
)
def test_what_cannot_run_is_refused_in_words(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        spec(**fields)


def test_shares_that_sum_to_one_but_for_rounding_are_allowed() -> None:
    third = [{"name": n, "uris": ["/x"], "minimum_share": 0.33333333334} for n in "abc"]
    assert resolve(spec(domains=third)).domains[0].minimum_share == 0.33333333334


@pytest.mark.parametrize("name", PRESETS)
def test_resolving_twice_changes_nothing(name: str) -> None:
    once = resolve(spec(preset=name))
    assert resolve(once) == once
    assert once.model_dump() == once.model_dump(exclude_unset=True)


@given(st.integers(20, 5000), st.sampled_from(sorted(PRESETS)))
def test_what_the_user_sets_wins_over_the_preset(steps: int, name: str) -> None:
    resolved = resolve(spec(preset=name, learning={"total_steps": steps + 30}))
    assert resolved.learning.total_steps == steps + 30
    assert resolved.learning.probing_steps == PRESETS[name]()["learning"]["probing_steps"]


def test_an_unknown_preset_is_named_with_those_that_exist() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        resolve(spec(preset="huge"))
    assert caught.value.field == "preset"
    assert "tiny-restricted" in caught.value.hint


TABLE_FIVE = {
    "paper-abundant-160m": (8, 5e-5, 5e-5, 2e-3, 5, 20, 40000, 2048),
    "paper-restricted-160m": (128, 5e-4, 5e-4, 4e-3, 5, 5, 5000, 512),
    "paper-restricted-410m": (128, 5e-4, 5e-4, 4e-3, 5, 5, 5000, 512),
    "paper-restricted-1b": (128, 5e-4, 5e-4, 4e-3, 5, 5, 5000, 512),
    "paper-sft-qwen2-0.5b": (32, 4e-6, 4e-6, 4e-3, 20, 10, 2000, 512),
}
"""Batch size, eta_u, eta_w, eta_alpha, K, E, total steps, context length."""


@pytest.mark.parametrize("name", TABLE_FIVE)
def test_paper_presets_are_table_five(name: str) -> None:
    scenario = {"abundant": "data_abundant", "restricted": "data_restricted", "sft": "sft"}
    kind = name.split("-")[1]
    records = "messages" if kind == "sft" else "text"
    domains = [{"name": n, "uris": [f"/{n}.jsonl"], "records": records} for n in ("a", "b")]
    found = resolve(spec(preset=name, scenario=scenario[kind], domains=domains))
    learning, training = found.learning, found.training
    assert TABLE_FIVE[name] == (
        training.batch_size,
        training.learning_rate,
        learning.reference_learning_rate,
        learning.mixture_learning_rate,
        learning.probing_steps,
        learning.free_steps,
        learning.total_steps,
        training.context_length,
    )
    assert learning.penalty == 1.0
    assert learning.mixture_step == "raw"
    assert learning.validation_reduction == "sum"
    assert training.schedule == "cosine"
    assert training.weight_decay == 0.01
    assert training.gradient_clip == 1.0


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("paper-abundant-160m", (768, 12, 12, 3072)),
        ("paper-restricted-160m", (768, 12, 12, 3072)),
        ("paper-restricted-410m", (1024, 24, 16, 4096)),
        ("paper-restricted-1b", (2048, 16, 8, 8192)),
    ],
)
def test_paper_models_have_the_shapes_of_pythia(name: str, shape: tuple[int, ...]) -> None:
    model = resolve(spec(preset=name)).model
    assert model.architecture == "gpt_neox"
    assert (model.hidden_size, model.layers, model.heads, model.intermediate_size) == shape


def test_the_fine_tuned_paper_model_is_the_pretrained_qwen2() -> None:
    domains = [{"name": n, "uris": [f"/{n}.jsonl"], "records": "messages"} for n in ("a", "b")]
    found = resolve(spec(preset="paper-sft-qwen2-0.5b", scenario="sft", domains=domains))
    assert (found.model.path, found.model.pretrained) == ("Qwen/Qwen2-0.5B", True)
    assert found.tokenizer.path == found.model.path


def test_another_kind_of_model_keeps_nothing_of_the_presets() -> None:
    domains = [{"name": n, "uris": [f"/{n}.jsonl"], "records": "messages"} for n in ("a", "b")]
    given = {"model": {"architecture": "qwen2", "layers": 3}, "tokenizer": {"kind": "bytes"}}
    found = resolve(spec(preset="paper-sft-qwen2-0.5b", scenario="sft", domains=domains, **given))
    assert (found.model.path, found.model.pretrained, found.model.layers) == (None, False, 3)
    assert found.tokenizer.path is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scenario": "sft"}, "domains.a.records is 'text'"),
        (
            {"targets": [{"name": "t", "uris": ["/t.jsonl"], "records": "messages"}]},
            "targets.t.records is 'messages'",
        ),
        ({"targets": [{"name": "a", "uris": ["/t.jsonl"]}]}, "has the name of a domain"),
        (
            {"targets": [{"name": "t", "uris": ["/t.jsonl"]}] * 2},
            "target name 't' is used twice",
        ),
        ({"model": {"architecture": "huggingface"}}, "`path` is needed"),
        ({"model": {"pretrained": True}}, "`pretrained` needs the `path`"),
        (
            {"model": {"architecture": "huggingface", "path": "models/x/y"}},
            "neither an absolute path nor a name on the hub",
        ),
        ({"model": {"heads": 4, "key_value_heads": 3}}, "not a multiple of key_value_heads"),
    ],
)
def test_what_does_not_fit_the_scenario_is_refused_by_name(
    changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(**changes)
    assert words in str(caught.value)


def test_the_order_of_targets_changes_nothing() -> None:
    one, two = ({"name": name, "uris": [f"/{name}.jsonl"]} for name in ("x", "y"))
    assert spec(targets=[one, two]) == spec(targets=[two, one])
