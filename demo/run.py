"""`python -m demo`: from text in installed packages to a mixture, its evidence and a manifest."""

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client.errors import ServiceUnreachableError, TandemApiError
from client.http import FINAL_STATES, TandemClient
from demo.corpus.build import CorpusRecord, build
from demo.corpus.texts import CorpusError
from demo.follow import Follower
from demo.job import demo_spec
from demo.report import aligned, comparison_table, mixture_json, mixture_table, report
from demo.server import ServiceError, service
from tandem_engine.contracts.records import ResultRecord
from tandem_engine.files import write_text

POLL_SECONDS = 1.0


class DemoError(Exception):
    """The demonstration cannot go on; the message says why."""


@dataclass
class Clock:
    """Says what begins, and keeps how many seconds each part took."""

    durations: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Print what begins and, at its end, how long it took."""
        print(f"==> {name}", flush=True)
        started = time.monotonic()
        yield
        self.durations[name] = time.monotonic() - started
        print(f"    done in {self.durations[name]:.1f} s", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="what is written")
    parser.add_argument("--data", type=Path, default=Path(".tandem"), help="the service's folder")
    parser.add_argument("--seed", type=int, default=0, help="root of the job's randomness")
    chosen = parser.parse_args(arguments)
    # Asked to end in whatever way, it stops what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(chosen.out.resolve(), chosen.data.resolve(), seed=chosen.seed)
    except (
        CorpusError,
        DemoError,
        ServiceError,
        ServiceUnreachableError,
        TandemApiError,
    ) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; what it had started is stopped", file=sys.stderr)
        return 130
    return 0


def run(out: Path, data: Path, *, seed: int) -> None:
    """Build the corpus, run the job through the service, and write the report to `out`."""
    clock = Clock()
    started = time.monotonic()
    with clock.part("Taking seven text domains out of installed packages"):
        corpus = build(out / "corpus")
    print("==> Starting Postgres, Valkey, the API and a worker", flush=True)
    begun = time.monotonic()
    with service(data, out / "service.log") as connection:
        clock.durations["Starting the service"] = time.monotonic() - begun
        print(
            f"    ready at {connection.url} after {time.monotonic() - begun:.1f} s "
            f"({connection.url}/docs describes the interface)",
            flush=True,
        )
        with TandemClient(connection.url, connection.api_key) as client:
            with clock.part("Learning the mixture, then testing it against four free rules"):
                job = run_job(client, out / "corpus", corpus, seed, clock)
            with clock.part("Writing pictures, tables and the manifest"):
                result = write_results(client, job, corpus, out, clock)
        stopping = time.monotonic()
    print(f"==> Stopped in {time.monotonic() - stopping:.1f} s\n", flush=True)
    print_results(result, out)
    print(f"\nAll of it took {time.monotonic() - started:.0f} s.")


def run_job(
    client: TandemClient, folder: Path, corpus: CorpusRecord, seed: int, clock: Clock
) -> dict[str, Any]:
    """Submit the job, follow it to its end and return it; an interrupt cancels it.

    Raises:
        DemoError: the job failed or was cancelled.
    """
    spec = demo_spec(folder, corpus, seed=seed)
    job = client.submit(spec.model_dump(exclude_unset=True), name="demonstration")
    print(f"    {job['id']}", flush=True)
    natural = {domain.name: domain.share for domain in corpus.domains}
    try:
        with Follower(natural) as follower:
            while True:
                follower.show(job)
                if job["state"] in FINAL_STATES:
                    break
                client.sleep(POLL_SECONDS)
                job = client.job(job["id"])
    except KeyboardInterrupt:
        print("\n    cancelling the job and stopping the service (again: at once)", flush=True)
        client.cancel(job["id"])
        raise
    for phase, seconds in follower.phase_seconds.items():
        if phase not in FINAL_STATES:
            clock.durations[f"- {phase}"] = seconds
    if job["state"] != "succeeded":
        error = job.get("error") or {}
        detail = f": {error.get('message', '')}; {error.get('hint', '')}" if error else ""
        raise DemoError(f"job {job['id']} {job['state']}{detail}")
    return job


def write_results(
    client: TandemClient, job: dict[str, Any], corpus: CorpusRecord, out: Path, clock: Clock
) -> ResultRecord:
    """Fetch everything that the job made and write it to `out`; return the result."""
    # matplotlib takes a second to load, which nobody should wait for before the job starts.
    from demo.plots import Trajectory, draw_comparison, draw_trajectory  # noqa: PLC0415

    result = ResultRecord.model_validate(job["result"])
    mixture = result.mixture
    first = mixture.natural
    if job["spec"]["learning"]["prior"]["kind"] == "uniform":
        first = [1 / len(mixture.domains)] * len(mixture.domains)
    # A resumed job writes some steps again: the later values count.
    points = {
        point["step"]: [point["alpha"][domain] for domain in mixture.domains]
        for point in client.iter_trajectory(job["id"], follow=False)
    }
    steps = sorted(points)
    trajectory = Trajectory(mixture.domains, [0, *steps], [first, *(points[s] for s in steps)])
    draw_trajectory(trajectory, mixture.natural, mixture.alpha, out / "trajectory.png")
    if result.stage_two:
        draw_comparison(mixture.domains, result.stage_two, out / "comparison.png")
    write_text(out / "trajectory.csv", client.trajectory_csv(job["id"]))
    write_text(out / "mixture.json", mixture_json(result))
    client.download_manifest(job["id"], out / "manifest")
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    write_text(out / "report.md", report(result, corpus, clock.durations, machine))
    return result


def print_results(result: ResultRecord, out: Path) -> None:
    """Print mixture, comparison, verdict and where the files are."""
    print("Mixture: share of the training tokens")
    print(aligned(mixture_table(result)))
    print("\nTest perplexity of fresh models trained with each mixture, same budget")
    print(aligned(comparison_table(result.mixture.domains, result.stage_two)))
    print(f"\nVerdict, {result.verdict.outcome}: {result.verdict.text}")
    for warning in result.verdict.warnings:
        print(f"Note: {warning}")
    print(f"\nWritten to {out}:")
    for name, meaning in {
        "report.md": "everything on one page",
        "trajectory.png": "how alpha moved",
        "comparison.png": "what the mixture is worth",
        "mixture.json": "the shares",
        "trajectory.csv": "every episode with its diagnostics",
        "manifest/": "which documents a trainer reads how often",
    }.items():
        print(f"  {name:<16} {meaning}")
