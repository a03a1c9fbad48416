"""`python -m tandem_engine run --spec spec.json --out DIR`: the engine alone, JSON lines out."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from tandem_engine.contracts.records import (
    EXIT_FAILED,
    EXIT_STOPPED,
    EXIT_SUCCEEDED,
    ErrorRecord,
)
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.contracts.uris import SCHEMES, schemes_of
from tandem_engine.errors import InvalidSpecError, StopRequestedError, TandemError
from tandem_engine.inputs.access import Access
from tandem_engine.inputs.guard import ANY_NETWORK, networks_of
from tandem_engine.presets import resolve
from tandem_engine.reporting import LineEmitter, StopFlag

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    emit, stop = LineEmitter(), StopFlag()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    if options.watch_stdin:
        threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        _run(options, emit, stop)
    except StopRequestedError as error:
        log.info("stopped: %s", error.message)
        return EXIT_STOPPED
    except TandemError as error:
        emit(
            ErrorRecord(
                code=error.code,
                message=error.message,
                retryable=error.retryable,
                hint=error.hint,
                field=error.field,
                value=error.value,
            )
        )
        return EXIT_FAILED
    except Exception as error:
        log.exception("internal error")
        emit(
            ErrorRecord(
                code=TandemError.code,
                message=f"{type(error).__name__}: {error}",
                retryable=True,
                hint="this is a fault in Tandem; the log has the details",
            )
        )
        return EXIT_FAILED
    return EXIT_SUCCEEDED


def _run(options: argparse.Namespace, emit: LineEmitter, stop: StopFlag) -> None:
    spec = resolve(read_spec(options.spec))
    # OpenMP's threads spin long before they sleep; on cores that others want too, a step then
    # takes five to ten times as long. This short spin keeps the speed of an idle machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # torch and transformers take seconds to load: not before the specification is known good.
    from tandem_engine.job import run_job  # noqa: PLC0415

    roots = [Path(root).resolve() for root in options.file_roots.split(os.pathsep) if root]
    run_job(
        spec,
        options.out,
        emit=emit,
        attempt=options.attempt,
        stop=stop,
        cache=options.cache,
        access=Access(
            roots or None, options.uri_schemes, options.private_networks, tuple(options.closed)
        ),
    )


def read_spec(path: Path) -> JobSpec:
    """Read a specification file.

    Raises:
        InvalidSpecError: the file cannot be read or is no valid specification.
    """
    try:
        return JobSpec.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidSpecError(
            f"the specification cannot be read: {error.strerror}",
            field="--spec",
            value=path,
            hint="give the path of a readable JSON file",
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidSpecError(
            first["msg"],
            field=".".join(str(part) for part in first["loc"]) or "spec",
            value=first["input"],
            hint="see the JobSpec schema in the service's OpenAPI document",
        ) from error


def _leave_with_parent() -> None:
    # The worker holds the other end: when it is killed, even by SIGKILL, the pipe closes.
    # Read below Python's buffer: a thread that holds its lock would abort a normal exit.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(EXIT_FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tandem_engine", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="learn a mixture; records go to standard output")
    run.add_argument("--spec", type=Path, required=True, help="JobSpec as a JSON file")
    run.add_argument("--out", type=Path, required=True, help="folder of the job's files")
    run.add_argument("--attempt", type=int, default=1, help="number of this attempt, from 1")
    run.add_argument(
        "--cache", type=Path, help="folder of tokens that jobs share; default: cache in --out"
    )
    run.add_argument(
        "--file-roots", default="", help="folders that local data must lie in; default: any"
    )
    run.add_argument(
        "--uri-schemes",
        type=schemes_of,
        default=",".join(SCHEMES),
        help="schemes that data may come from, by commas; default: all",
    )
    run.add_argument(
        "--private-networks",
        type=networks_of,
        default=ANY_NETWORK,
        help="private networks that http and https may lead to, by commas; default: any",
    )
    run.add_argument(
        "--closed",
        action="append",
        type=lambda written: Path(written).resolve(),
        default=[],
        metavar="DIR",
        help="folder that no data may come from; again for more",
    )
    run.add_argument(
        "--watch-stdin", action="store_true", help="leave when standard input is closed"
    )
    return parser
