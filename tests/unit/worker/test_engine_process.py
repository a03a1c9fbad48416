"""The engine's child process, with an engine that behaves as told."""

import os
import time
from pathlib import Path

import pytest
from support.engines import fake_engine
from support.fake_engine import EPISODES

from tandem_engine.contracts.records import EXIT_STOPPED, ResultRecord, TrajectoryPoint
from worker.engine_process import EngineProcess


def _start(folder: Path, mode: str) -> EngineProcess:
    spec = folder / "spec.json"
    spec.write_text("{}")
    return EngineProcess(
        spec=spec,
        out=folder,
        attempt=1,
        log_path=folder / "logs" / "attempt.log",
        command=fake_engine(mode),
    )


def test_records_come_in_order_and_the_result_is_the_last(tmp_path: Path) -> None:
    engine = _start(tmp_path, "noisy")
    records = [record for record in engine.records() if record is not None]
    assert engine.close() == 0
    episodes = [record.episode for record in records if isinstance(record, TrajectoryPoint)]
    assert episodes == list(range(1, EPISODES + 1))
    assert isinstance(records[-1], ResultRecord)


def test_silence_gives_the_reader_time_for_other_things(tmp_path: Path) -> None:
    engine = _start(tmp_path, "well")
    assert next(engine.records(tick=0.01)) is None  # the interpreter is still starting
    engine.kill()
    assert engine.close() == -9


def test_an_engine_that_is_asked_to_stop_writes_a_checkpoint(tmp_path: Path) -> None:
    engine = _start(tmp_path, "slow")
    for record in engine.records():
        if isinstance(record, TrajectoryPoint):
            engine.stop(grace_seconds=20)
    assert engine.close() == EXIT_STOPPED
    assert (tmp_path / "fake-checkpoint.json").exists()


def test_an_engine_that_does_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    engine = _start(tmp_path, "deaf")
    started = time.monotonic()
    for record in engine.records():
        if isinstance(record, TrajectoryPoint):  # before that, it has not heard of signals
            engine.stop(grace_seconds=0.3)
    assert engine.close() == -9
    assert time.monotonic() - started < 15


def test_the_log_keeps_what_the_engine_says_to_people(tmp_path: Path) -> None:
    engine = _start(tmp_path, "well")
    for _ in engine.records():
        pass
    engine.close()
    assert engine.log_tail() == "the fake engine says hello"


def test_the_engine_gets_none_of_the_services_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_DATABASE_URL", "postgresql://hidden")
    engine = _start(tmp_path, "deaf")
    try:
        assert any(engine.records())  # it runs, and not its parent's copy
        environment = Path(f"/proc/{engine.pid}/environ").read_bytes()
    finally:
        engine.kill()
        engine.close()
    assert b"PATH=" in environment
    assert b"postgresql://" not in environment


def test_the_engine_is_in_a_group_of_its_own(tmp_path: Path) -> None:
    engine = _start(tmp_path, "deaf")
    try:
        assert os.getpgid(engine.pid) == engine.pid != os.getpgid(0)
    finally:
        engine.kill()
        engine.close()
