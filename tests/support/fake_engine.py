"""An engine that learns nothing: it speaks the records, checkpoints, resumes, and fails on demand.

`python fake_engine.py MODE run --spec SPEC --out DIR --attempt N --watch-stdin`. Alpha of an
episode is a fixed function of its number, so a trajectory pieced together can be recognised.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from pydantic import BaseModel

from support.jobs import point, result_record
from tandem_engine.contracts.records import (
    EXIT_FAILED,
    EXIT_STOPPED,
    CheckpointRecord,
    ErrorRecord,
    PhaseRecord,
    ProgressRecord,
    ResumedRecord,
    TrajectoryPoint,
)

EPISODES = 12
CHECKPOINT_EVERY = 3
CRASH_AFTER = 7


def fake_point(episode: int) -> TrajectoryPoint:
    """Return what every attempt says of `episode`."""
    return point(episode, share=1 / (1 + episode))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode")
    parser.add_argument("run")
    parser.add_argument("--spec", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--attempt", type=int, required=True)
    for option in ("--cache", "--file-roots", "--uri-schemes", "--private-networks", "--closed"):
        parser.add_argument(option)
    parser.add_argument("--watch-stdin", action="store_true")
    options = parser.parse_args()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: options.mode == "deaf" or stopped.set())
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    json.loads(options.spec.read_text())
    sys.stderr.write("the fake engine says hello\n")
    if options.mode == "noisy":
        sys.stdout.write('a line from some library\n{"type": "episode", "cut\n')
    if options.mode in {"refusing", "flaky"}:
        return _refuse(retryable=options.mode == "flaky")
    return _learn(options.mode, options.out, options.attempt, stopped)


def _learn(mode: str, out: Path, attempt: int, stopped: threading.Event) -> int:
    checkpoint = out / "fake-checkpoint.json"
    done = json.loads(checkpoint.read_text()) if checkpoint.exists() else 0
    if done:
        _say(ResumedRecord(episode=done, from_attempt=max(1, attempt - 1)))
        for episode in range(1, done + 1):
            _say(fake_point(episode))
    _say(PhaseRecord(phase="learning", total_units=EPISODES))
    for episode in range(done + 1, EPISODES + 1):
        _say(fake_point(episode))
        _say(ProgressRecord(phase="learning", done_units=episode, total_units=EPISODES))
        if episode % CHECKPOINT_EVERY == 0 or stopped.is_set():
            _save(checkpoint, episode)
        if stopped.is_set():
            return EXIT_STOPPED
        if episode == CRASH_AFTER:
            _misbehave(mode, attempt, stopped)
        if mode == "slow":
            time.sleep(0.1)
    if mode != "silent":
        _say(result_record())
    return 0


def _misbehave(mode: str, attempt: int, stopped: threading.Event) -> None:
    if mode == "crashing" or (mode == "crashing-once" and attempt == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "deaf" or (mode == "waiting-once" and attempt == 1):
        while not stopped.wait(0.05):
            pass


def _save(path: Path, episode: int) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(str(episode))
    partial.replace(path)
    _say(CheckpointRecord(episode=episode, sequence=episode, path=path.name, sha256="", bytes=1))


def _refuse(*, retryable: bool) -> int:
    _say(
        ErrorRecord(
            code="disk_full" if retryable else "diverged",
            message="told to fail",
            retryable=retryable,
            hint="tell it otherwise",
        )
    )
    return EXIT_FAILED


def _say(record: BaseModel) -> None:
    sys.stdout.write(record.model_dump_json() + "\n")
    sys.stdout.flush()


def _leave_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would be held at exit
        pass
    os._exit(EXIT_FAILED)


if __name__ == "__main__":
    sys.exit(main())
