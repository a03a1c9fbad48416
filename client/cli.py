"""The `tandem` command."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from client import compare_command, display, export_command, manifest_commands
from client.errors import ManifestDamagedError, ServiceUnreachableError, TandemApiError
from client.http import FINAL_STATES, TandemClient
from client.local import NotConfiguredError, default_data_dir, find_connection
from client.printing import print_json
from client.specs import SpecFileError, read_comparison, read_request
from tandem_engine.errors import TandemError

app = typer.Typer(
    help="Learn how to mix training data.", no_args_is_help=True, pretty_exceptions_enable=False
)

app.add_typer(manifest_commands.app, name="manifest")
app.command()(manifest_commands.materialise)
app.command()(export_command.export)

JobId = Annotated[str, typer.Argument(metavar="ID", help="Id of the job, `job_...`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Data = Annotated[
    Path | None,
    typer.Option(help="Data folder; TANDEM_DATA_DIR, or ~/.local/share/tandem.", metavar="DIR"),
]


def main() -> None:
    """Run the command; what the user can mend is told in a sentence, with exit code 1."""
    try:
        app()
    except (
        TandemApiError,
        ServiceUnreachableError,
        ManifestDamagedError,
        NotConfiguredError,
        SpecFileError,
    ) as error:
        sys.stderr.write(f"tandem: {error}\n")
        sys.exit(1)
    except TandemError as error:
        sys.stderr.write(f"tandem: {error.message}\n{error.hint}\n")
        sys.exit(1)


@app.command()
def up(
    data: Data = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the HTTP API.")] = 8321,
    workers: Annotated[int, typer.Option(min=1, help="Jobs that may run at the same time.")] = 1,
) -> None:
    """Start the whole system here: Postgres, Valkey, API, workers. Ctrl-C stops it."""
    from embedded.up import run_up  # noqa: PLC0415 - clients need no servers

    raise typer.Exit(run_up(data or default_data_dir(), port=port, workers=workers))


@app.command()
def down(data: Data = None) -> None:
    """Stop what `tandem up` left running on a data folder; jobs go on at the next start."""
    from embedded.up import run_down  # noqa: PLC0415 - clients need no servers

    raise typer.Exit(run_down(data or default_data_dir()))


@app.command()
def submit(
    file: Annotated[str, typer.Argument(help="JSON file with a job specification; - is stdin.")],
    name: Annotated[str | None, typer.Option(help="Name of the job.")] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Watch it until it ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create a job. Relative paths in the file are taken from the file's folder."""
    request = read_request(file)
    with _client() as client:
        job = client.submit(
            request["spec"], name=name or request.get("name"), labels=request.get("labels")
        )
        if watch:
            _watch(client, job["id"])
        elif as_json:
            print_json(job)
        else:
            print(job["id"])


@app.command("list")
def list_jobs(
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with _client() as client:
        jobs = list(client.jobs(state=state, limit=limit))
    if as_json:
        print_json(jobs)
    else:
        Console().print(display.jobs_table(jobs))


@app.command()
def show(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Show a job."""
    with _client() as client:
        job = client.job(job_id)
    if as_json:
        print_json(job)
    else:
        Console().print(display.job_view(job))


@app.command()
def watch(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Watch alpha move until the job ends; the exit code is 0 if it succeeded."""
    with _client() as client:
        if as_json:
            for point in client.iter_trajectory(job_id):
                print(json.dumps(point), flush=True)
            _exit_by_state(client.job(job_id))
        _watch(client, job_id)


@app.command()
def cancel(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Ask a job to stop; what it has learned so far is kept."""
    with _client() as client:
        _print_state(client.cancel(job_id), as_json=as_json)


@app.command()
def pause(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Lay a job aside at a checkpoint; its worker is free for others."""
    with _client() as client:
        _print_state(client.pause(job_id), as_json=as_json)


@app.command()
def resume(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Let a paused job go on from its last checkpoint."""
    with _client() as client:
        _print_state(client.resume(job_id), as_json=as_json)


@app.command()
def retry(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Try a job again that failed or was cancelled, from its last checkpoint."""
    with _client() as client:
        _print_state(client.retry(job_id), as_json=as_json)


@app.command()
def clone(
    job_id: JobId,
    overrides: Annotated[
        str, typer.Option(help="What is to differ: JSON merge patch of the specification.")
    ] = "{}",
    *,
    as_json: AsJson = False,
) -> None:
    """Make a new job out of a job's specification."""
    try:
        patch = json.loads(overrides)
    except ValueError as error:
        raise typer.BadParameter(f"--overrides is not JSON: {error}") from error
    with _client() as client:
        job = client.clone(job_id, patch)
    print_json(job) if as_json else print(job["id"])


@app.command()
def trajectory(
    job_id: JobId,
    *,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the trajectory so far: a table of alpha, CSV, or JSON lines with everything."""
    with _client() as client:
        if csv:
            sys.stdout.write(client.trajectory_csv(job_id))
            return
        for point in client.iter_trajectory(job_id, follow=False):
            if as_json:
                print(json.dumps(point))
            else:
                shares = "  ".join(f"{name} {share:.4f}" for name, share in point["alpha"].items())
                print(f"{point['episode']:6d}  {shares}")


@app.command()
def mixture(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Print the learned mixture and what the evidence says about it."""
    with _client() as client:
        learned = client.mixture(job_id)
    if as_json:
        print_json(learned)
    else:
        Console().print(display.mixture_view(learned))


@app.command()
def compare(
    file: Annotated[str, typer.Argument(help="YAML or JSON file with a comparison; - is stdin.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the reports; default: its id.", metavar="DIR")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the comparison.")] = None,
    *,
    wait: Annotated[bool, typer.Option(help="Wait for its cells and write reports.")] = True,
    reuse: Annotated[bool, typer.Option(help="Take jobs that are there for cells.")] = True,
    as_json: AsJson = False,
) -> None:
    """Compare methods on the same data; run it again to go on where it stopped.

    The exit code is 0 when every cell succeeded, 3 when some failed, 1 when all did.
    """
    request = read_comparison(file)
    with _client() as client:
        comparison = client.compare(
            request["spec"],
            name=name or request.get("name"),
            labels=request.get("labels"),
            reuse=reuse,
        )
        if wait:
            _report(client, comparison, out, as_json=as_json)
    print_json(comparison) if as_json else print(comparison["id"])


@app.command()
def report(
    comparison_id: Annotated[str, typer.Argument(metavar="ID", help="`cmp_...`.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the reports; default: its id.", metavar="DIR")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Wait for a comparison and write its reports; exit codes are those of `compare`."""
    with _client() as client:
        _report(client, client.comparison(comparison_id), out, as_json=as_json)


@app.command("comparisons")
def list_comparisons(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """List comparisons, newest first."""
    with _client() as client:
        found = list(client.comparisons(limit=limit))
    if as_json:
        print_json(found)
    else:
        Console().print(compare_command.comparisons_table(found))


@contextmanager
def _client() -> Iterator[TandemClient]:
    connection = find_connection()
    with TandemClient(connection.url, connection.api_key) as client:
        yield client


def _watch(client: TandemClient, job_id: str) -> None:
    job = client.job(job_id)
    with Live(display.job_view(job), refresh_per_second=4) as live:
        while job["state"] not in FINAL_STATES:
            client.sleep(1.0)
            job = client.job(job_id)
            live.update(display.job_view(job))
    _exit_by_state(job)


def _report(
    client: TandemClient, comparison: dict[str, Any], out: Path | None, *, as_json: bool
) -> None:
    if as_json:
        comparison = client.wait_for_comparison(comparison["id"])
    else:
        comparison = dict(compare_command.follow(client, comparison))
    folder = out or Path(comparison["id"])
    written = compare_command.write_reports(client, comparison["id"], folder)
    if as_json:
        print_json(comparison)
    else:
        compare_command.print_end(comparison, written, Console())
    raise typer.Exit(compare_command.exit_code(comparison["state"]))


def _exit_by_state(job: dict[str, Any]) -> None:
    raise typer.Exit(0 if job["state"] == "succeeded" else 1)


def _print_state(job: dict[str, Any], *, as_json: bool) -> None:
    print_json(job) if as_json else print(f"{job['id']} is {job['state']}")
