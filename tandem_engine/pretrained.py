"""Things that `transformers` loads from a folder or the hub: never code, never pickles."""

from pathlib import Path
from typing import Any

from tandem_engine.contracts.models import HUB_NAME
from tandem_engine.errors import InvalidSpecError


def is_hub_name(path: str) -> bool:
    """Tell if `path` is a name on the hub (owner/name) and not a folder, whose path is absolute."""
    return HUB_NAME.fullmatch(path) is not None


def load_pretrained(
    loader: str, path: str, revision: str | None, *, field: str, needs: str, **options: Any
) -> Any:
    """Return what the class `loader` of `transformers` makes of `path`.

    Args:
        loader: `AutoTokenizer`, `AutoConfig` or `AutoModelForCausalLM`.
        path: Folder, or name on the hub.
        revision: Branch, tag or commit on the hub; None is its default.
        field: Field of the specification that names `path`.
        needs: What a folder must hold, for the error.
        options: Further arguments of `from_pretrained`.

    Raises:
        InvalidSpecError: there is no such folder or name, or it cannot be loaded.
    """
    on_hub = is_hub_name(path)
    if not on_hub and not Path(path).is_dir():
        raise InvalidSpecError(
            f"there is no folder {path}",
            field=field,
            value=path,
            hint=f"give a folder with {needs} on the machine that runs the job, or a name on the "
            "hub, owner/name",
        )
    import transformers  # noqa: PLC0415 - seconds to import, often not needed

    try:
        return getattr(transformers, loader).from_pretrained(
            path,
            trust_remote_code=False,
            local_files_only=not on_hub,
            **({"revision": revision} if on_hub and revision else {}),
            **options,
        )
    except Exception as error:  # the library raises whatever its parsers and sockets raise
        hint = (
            "the worker must reach the hub or hold the files in its cache; or save them with "
            "save_pretrained and give that folder"
            if on_hub
            else "save it again with save_pretrained and give that folder"
        )
        raise InvalidSpecError(
            f"{path} cannot be loaded: {error}", field=field, value=path, hint=hint
        ) from error
