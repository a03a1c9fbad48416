"""`tandem export`: the mixture in a trainer's format, of a job or of a manifest's folder."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from client.files import write_whole
from client.http import TandemClient
from client.local import find_connection
from client.printing import print_json


def export(
    source: Annotated[
        str | None,
        typer.Argument(metavar="ID|DIR", help="A job, `job_...`, or the folder of a manifest."),
    ] = None,
    *,
    format_: Annotated[
        str | None, typer.Option("--format", "-f", help="The trainer's format; see --list.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; default: the format.", metavar="DIR")
    ] = None,
    list_formats: Annotated[bool, typer.Option("--list", help="List the formats.")] = False,
    path_template: Annotated[
        str | None,
        typer.Option(help="Where the trainer finds a domain: a path with {slug} or {domain}."),
    ] = None,
    target_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens to train on.")] = None,
    sequence_length: Annotated[
        int | None, typer.Option(min=1, help="Tokens of a packed sequence; default 2048.")
    ] = None,
    packed: Annotated[
        bool, typer.Option("--packed", help="A sample is a sequence, not a document.")
    ] = False,
    truncate_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens after which the trainer cuts documents off.")
    ] = None,
    max_epochs: Annotated[
        float | None, typer.Option(help="Most passes over a domain; default: as the job says.")
    ] = None,
    above_cap: Annotated[
        Literal["refuse", "flag"] | None, typer.Option(help="What to do above that.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the trainer's drawing.")] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="Count documents with this tokenizer (folder, name on the hub, or `bytes`); of a "
            "folder's manifest, whose sources must be there."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Write the mixture as a trainer reads it, in the unit that the trainer counts."""
    if list_formats:
        _list(as_json=as_json)
        return
    if source is None or format_ is None:
        raise typer.BadParameter("give a job or a folder, and --format; --list lists the formats")
    given = {
        "path_template": path_template,
        "target_tokens": target_tokens,
        "sequence_length": sequence_length,
        "packed": packed or None,
        "truncate_tokens": truncate_tokens,
        "max_epochs": max_epochs,
        "above_cap": above_cap,
        "seed": seed,
    }
    options = {name: value for name, value in given.items() if value is not None}
    if Path(source).is_dir():
        made = _of_folder(Path(source), format_, options, tokenizer)
    elif tokenizer is not None:
        raise typer.BadParameter(
            "--tokenizer is for the folder of a manifest (`tandem manifest get`); of a job, name "
            "it in manifest.consumer"
        )
    else:
        connection = find_connection()
        with TandemClient(connection.url, connection.api_key) as client:
            made = client.export(source, format_, options)
    folder = out or Path(format_)
    folder.mkdir(parents=True, exist_ok=True)
    written = [str(write_whole(folder / f["name"], f["content"].encode())) for f in made["files"]]
    if as_json:
        print_json(made | {"folder": str(folder), "written": written})
        return
    for line in written:
        print(line)
    # Beside the result, not in it: a script reads the names of the files.
    console = Console(stderr=True)
    for line in made["usage"]:
        console.print(f"- {line}", markup=False, highlight=False, soft_wrap=True)
    for line in made["warnings"]:
        console.print(
            f"warning: {line}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )


def _of_folder(
    folder: Path, format_: str, options: dict[str, Any], tokenizer: str | None
) -> dict[str, Any]:
    from tandem_engine.exports.options import ExportOptions  # noqa: PLC0415 - pyarrow is slow
    from tandem_engine.exports.reading import (  # noqa: PLC0415
        LENGTHS_FILE,
        SHARDS_FILE,
        read_lengths,
        read_shards,
    )
    from tandem_engine.exports.registry import export_mixture  # noqa: PLC0415
    from tandem_engine.manifests.read import Manifest  # noqa: PLC0415

    manifest = Manifest(folder)
    lengths = read_lengths(folder / LENGTHS_FILE) if (folder / LENGTHS_FILE).is_file() else {}
    if tokenizer is not None:
        lengths["consumer"] = _measured(manifest, tokenizer)
    made = export_mixture(
        format_,
        manifest.head,
        lengths,
        read_shards(folder / SHARDS_FILE),
        ExportOptions.model_validate(options),
    )
    return {
        "mixture_id": made.plan.mixture_id,
        "primary": made.primary,
        "files": [{"name": name, "content": text} for name, text in made.files.items()],
        "usage": list(made.usage),
        "warnings": list(made.warnings),
    }


def _measured(manifest: Any, tokenizer: str) -> dict[str, list[tuple[int, int, int]]]:
    from tandem_engine.contracts.models import TokenizerSpec  # noqa: PLC0415 - only here
    from tandem_engine.manifests.measure import measure_manifest  # noqa: PLC0415 - loads torch

    if tokenizer == "bytes":
        spec = TokenizerSpec()
    else:
        place = str(Path(tokenizer).resolve()) if Path(tokenizer).is_dir() else tokenizer
        spec = TokenizerSpec(kind="huggingface", path=place)
    found: dict[str, list[tuple[int, int, int]]] = {}
    for row in measure_manifest(manifest, spec):
        lengths = found.setdefault(row["domain"], [])
        lengths.append((row["tokens"], row["loss_tokens"], row["documents"]))
    return found


def _list(*, as_json: bool) -> None:
    from tandem_engine.exports.registry import EXPORTERS  # noqa: PLC0415 - only here

    if as_json:
        print_json(
            [{"name": e.name, "title": e.title, "counts": e.counts} for e in EXPORTERS.values()]
        )
        return
    width = max(map(len, EXPORTERS))
    for exporter in EXPORTERS.values():
        print(f"{exporter.name:<{width}}  {exporter.counts:<9}  {exporter.title}")
