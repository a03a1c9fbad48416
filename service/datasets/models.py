"""Checks the model and the tokenizer that a specification names, as far as files tell."""

import json
from pathlib import Path

from service.errors import FieldProblem
from tandem_engine.contracts.models import HUB_NAME, ModelSpec, TokenizerSpec
from tandem_engine.errors import TandemError
from tandem_engine.inputs.access import Access

_SHOWN = 500
_UNREADABLE = "model_unreadable"


def inspect_tokenizer(
    tokenizer: TokenizerSpec, access: Access, spec_place: str
) -> list[FieldProblem]:
    """Return what is wrong with a tokenizer's folder; a name on the hub is the worker's to find."""
    pointer = f"{spec_place}/tokenizer/path"
    if tokenizer.path is None or HUB_NAME.fullmatch(tokenizer.path):
        return []
    place, problems = _folder(tokenizer.path, pointer, "tokenizer_unreadable", access)
    return problems if place is None else []


def inspect_model(model: ModelSpec, access: Access, spec_place: str) -> list[FieldProblem]:
    """Return what is wrong with a model's folder; a name on the hub is the worker's to find."""
    pointer = f"{spec_place}/model/path"
    if model.path is None or HUB_NAME.fullmatch(model.path):
        return []
    place, problems = _folder(model.path, pointer, _UNREADABLE, access)
    if place is None:
        return problems
    shown = model.path[:_SHOWN]
    try:
        config = json.loads((place / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [
            FieldProblem(
                pointer,
                _UNREADABLE,
                f"{model.path} holds no readable config.json: {error}",
                shown,
                "give the folder that save_pretrained wrote",
            )
        ]
    if isinstance(config, dict) and config.get("auto_map"):
        return [
            FieldProblem(
                pointer,
                _UNREADABLE,
                f"the model in {model.path} needs code of its own (auto_map), which is never run",
                shown,
                "take a model whose architecture transformers knows",
            )
        ]
    if model.pretrained and not any(place.glob("*.safetensors")):
        return [
            FieldProblem(
                pointer,
                _UNREADABLE,
                f"{model.path} holds no safetensors weights",
                shown,
                "save the model again with save_pretrained; pickled weights are not read",
            )
        ]
    return []


def _folder(
    path: str, pointer: str, code: str, access: Access
) -> tuple[Path | None, list[FieldProblem]]:
    try:
        place = access.resolve(Path(path))
    except TandemError as error:
        return None, [FieldProblem(pointer, error.code, error.message, path[:_SHOWN], error.hint)]
    if place.is_dir():
        return place, []
    what = "tokenizer" if code.startswith("tokenizer") else "model"
    return None, [
        FieldProblem(
            pointer,
            code,
            f"{path} is no folder",
            path[:_SHOWN],
            f"give the folder of a saved {what}, on the machines that run service and job",
        )
    ]
