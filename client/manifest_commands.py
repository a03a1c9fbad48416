"""`tandem manifest ...` and `tandem materialise`: manifests downloaded, planned, expanded, written.

All but `get` work without a service, on what is in a folder; they need the engine's data libraries.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from client.http import TandemClient
from client.local import find_connection
from client.printing import print_json

app = typer.Typer(help="Resampling manifests: which documents to read how often.")

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of a manifest, as `manifest get` writes it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def get(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the job, `job_...`.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the manifest's files; default: manifest- and its checksum.",
            metavar="DIR",
        ),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Download the manifest of a job, checked against its checksums."""
    connection = find_connection()
    with TandemClient(connection.url, connection.api_key) as client:
        folder, written = client.download_manifest(job_id, out)
    if as_json:
        print_json({"folder": str(folder), "files": [str(path) for path in written]})
    else:
        print(folder)


@app.command()
def expand(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="File to write: .parquet or .jsonl.", metavar="FILE")],
    domain: Annotated[str | None, typer.Option(help="Only this domain.")] = None,
    files: Annotated[
        str | None,
        typer.Option(help="Only files number A to B-1, by domain and URI.", metavar="A:B"),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write a row per document that is read, of any range of the source files."""
    from tandem_engine.manifests.listing import select_files, write_listing  # noqa: PLC0415
    from tandem_engine.manifests.read import Manifest  # noqa: PLC0415

    manifest = Manifest(folder)
    rows = write_listing(manifest, select_files(manifest, domain, _range(files)), out)
    print_json({"file": str(out), "rows": rows}) if as_json else print(f"{out}: {rows} documents")


@app.command()
def plan(
    *,
    mixture: Annotated[
        Path, typer.Option(help="JSON: shares by domain, or what `tandem mixture --json` prints.")
    ],
    inventory: Annotated[
        Path,
        typer.Option(help="Parquet: a row per file with domain, source_uri, records, tokens."),
    ],
    target_tokens: Annotated[int, typer.Option(min=1, help="Tokens to train on.")],
    out: Annotated[Path, typer.Option(help="Folder for the manifest.", metavar="DIR")],
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of documents.")] = 0,
    rows: Annotated[
        str, typer.Option(help="Rows per document: auto (up to 100 million), always, never.")
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Plan a manifest for a corpus that was never read, by the counts of its files alone."""
    from tandem_engine.manifests.elsewhere import plan_elsewhere  # noqa: PLC0415

    summary = plan_elsewhere(
        mixture, inventory, out, target_tokens=target_tokens, seed=seed, rows=rows
    )
    print_json(summary.model_dump()) if as_json else print(out)


def materialise(
    folder: Folder,
    *,
    out: Annotated[Path, typer.Option(help="New folder for the corpus.", metavar="DIR")],
    output: Annotated[
        Literal["jsonl", "parquet", "mds", "megatron", "tokens"],
        typer.Option("--format", help="What to write."),
    ] = "jsonl",
    compression: Annotated[
        Literal["none", "gzip", "zstd"], typer.Option(help="Of JSON lines.")
    ] = "none",
    tokenizer: Annotated[
        str | None,
        typer.Option(help="Folder or hub name of a tokenizer for megatron and tokens."),
    ] = None,
    parts: Annotated[
        int | None, typer.Option(min=1, help="Files; default: about 256 MB each.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: one per core.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Run on a Ray cluster: `auto`, or its address. Its machines must see the sources "
            "and the output under the same paths.",
        ),
    ] = None,
    order_seed: Annotated[int, typer.Option(min=0, help="Of the order of documents.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write the resampled, shuffled corpus that a manifest describes."""
    from tandem_engine.materialise import run  # noqa: PLC0415
    from tandem_engine.materialise.contents import tokenizer_argument  # noqa: PLC0415
    from tandem_engine.materialise.executors import LocalExecutor, RayExecutor  # noqa: PLC0415

    request = run.MaterialiseRequest(
        manifest=folder.resolve(),
        out=out.resolve(),
        format=output,
        compression=None if compression == "none" else compression,
        parts=parts,
        tokenizer=tokenizer_argument(tokenizer),
        order_seed=order_seed,
    )
    executor = RayExecutor(ray) if ray else LocalExecutor(workers or os.cpu_count() or 1)
    index = run.materialise(request, executor)
    if as_json:
        print_json(index)
    else:
        parts = len(index["parts"])
        print(f"{out}: {index['documents']} documents in {parts} part{'s' * (parts > 1)}")
        if index["left_out"]:
            print(f"{index['left_out']} records of files that were only counted hold no document")


def _range(written: str | None) -> tuple[int, int] | None:
    if written is None:
        return None
    begin, colon, end = written.partition(":")
    if not (colon and begin.isdigit() and end.isdigit()):
        raise typer.BadParameter(f"{written!r} is no range; write A:B, for example 0:10")
    return int(begin), int(end)
