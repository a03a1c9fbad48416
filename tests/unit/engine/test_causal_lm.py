"""Models: fresh ones by seed, pretrained ones from safetensors, others refused by name."""

import json
from pathlib import Path

import pytest
import torch
from support.conversations import model_folder
from torch import nn

from tandem_engine.contracts.models import ModelSpec
from tandem_engine.errors import InvalidSpecError
from tandem_engine.models.causal_lm import build_model


def build(spec: ModelSpec, *, seed: int = 0, vocabulary: int = 300, context: int = 16) -> nn.Module:
    return build_model(
        spec, vocabulary=vocabulary, context_length=context, seed=seed, labels=("weights",)
    )


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("architecture", ["gpt_neox", "qwen2"])
def test_fresh_weights_go_by_the_seed(architecture: str) -> None:
    spec = ModelSpec.model_validate(
        {"architecture": architecture, "hidden_size": 32, "layers": 1, "heads": 2}
    )
    assert torch.equal(weights(build(spec)), weights(build(spec)))
    assert not torch.equal(weights(build(spec)), weights(build(spec, seed=1)))


def test_a_qwen2_shape_shares_keys_and_ties_embeddings() -> None:
    spec = ModelSpec(
        architecture="qwen2",
        hidden_size=32,
        layers=1,
        heads=4,
        key_value_heads=2,
        intermediate_size=64,
        tie_embeddings=True,
    )
    model = build(spec)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert shapes["model.layers.0.self_attn.k_proj.weight"] == (16, 32)
    assert "lm_head.weight" not in shapes


def test_pretrained_weights_are_those_of_the_folder_whatever_the_seed(folder: Path) -> None:
    spec = ModelSpec(architecture="huggingface", path=str(folder), pretrained=True)
    first = build(spec)
    assert torch.equal(weights(first), weights(build(spec, seed=5)))
    fresh = build(spec.evolve(pretrained=False))
    assert not torch.equal(weights(first), weights(fresh))
    assert first.config.attention_dropout == 0.0


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "pickled", safe=False)
    spec = ModelSpec(architecture="huggingface", path=str(folder), pretrained=True)
    with pytest.raises(InvalidSpecError, match="holds no safetensors") as caught:
        build(spec)
    assert caught.value.field == "model.path"
    assert "save_pretrained" in caught.value.hint


def test_a_model_with_code_of_its_own_is_never_run(tmp_path: Path) -> None:
    folder = tmp_path / "custom"
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps({"model_type": "mine", "auto_map": {"AutoConfig": "code.Config"}})
    )
    (folder / "code.py").write_text("raise SystemExit('ran')\n")
    with pytest.raises(InvalidSpecError, match="cannot be loaded"):
        build(ModelSpec(architecture="huggingface", path=str(folder)))


def test_a_model_that_knows_too_few_tokens_or_positions_is_refused(folder: Path) -> None:
    spec = ModelSpec(architecture="huggingface", path=str(folder))
    with pytest.raises(InvalidSpecError, match="knows 320 tokens, the tokenizer 400"):
        build(spec, vocabulary=400)
    with pytest.raises(InvalidSpecError, match="64 positions") as caught:
        build(spec, context=65)
    assert caught.value.field == "training.context_length"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match="there is no folder"):
        build(ModelSpec(architecture="huggingface", path=str(tmp_path / "nowhere")))


def test_a_name_on_the_hub_needs_a_network_and_the_error_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    spec = ModelSpec(architecture="huggingface", path="nobody/nothing")
    with pytest.raises(InvalidSpecError, match="nobody/nothing cannot be loaded") as caught:
        build(spec)
    assert "must reach the hub" in caught.value.hint
