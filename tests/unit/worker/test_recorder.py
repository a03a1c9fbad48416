"""Batches of the recorder, by a clock that the test moves; the database is a list of calls."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import OperationalError
from support.jobs import point, result_record

from service.jobs.leases import Lease, LeaseLostError
from tandem_engine.contracts.records import (
    CheckpointRecord,
    PhaseRecord,
    ProgressRecord,
    ResumedRecord,
)
from worker import recorder as recorder_module
from worker.recorder import BATCH_POINTS, BATCH_SECONDS, Recorder

LEASE = Lease(job_id="job_1", attempt=2, worker_id="w")
CHECKPOINT = CheckpointRecord(episode=2, sequence=1, path="c", sha256="", bytes=1)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Database:
    """Stands in for the leases: keeps what was committed, may be away or fence."""

    def __init__(self) -> None:
        self.committed: list[tuple[object, ...]] = []
        self.failure: Exception | None = None
        self._open: list[tuple[object, ...]] = []

    @contextmanager
    def unit_of_work(self, _sessions: object) -> Iterator["Database"]:
        self._open = []
        if self.failure is not None:
            raise self.failure
        yield self
        self.committed += self._open

    @property
    def session(self) -> "Database":
        return self

    def append_points(self, _session: object, _lease: Lease, batch: list[object]) -> None:
        if batch:
            self._open.append(("points", *[point.episode for point in batch]))  # type: ignore[attr-defined]

    def mark_running(self, _session: object, _lease: Lease, phase: str) -> None:
        self._open.append(("running", phase))

    def record_progress(
        self, _session: object, _lease: Lease, phase: str, done: int, total: int, message: str
    ) -> None:
        self._open.append(("progress", phase, done, total, message))

    def rewind(self, _session: object, _lease: Lease, episode: int) -> None:
        self._open.append(("rewind", episode))

    def record_event(self, _session: object, _lease: Lease, kind: str, data: object) -> None:
        assert isinstance(data, dict)
        assert "type" not in data
        self._open.append(("event", kind))


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    database = Database()
    monkeypatch.setattr(recorder_module, "leases", database)
    monkeypatch.setattr(recorder_module, "unit_of_work", database.unit_of_work)
    return database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(database: Database, clock: Clock) -> Recorder:
    assert database.committed == []
    return Recorder(None, LEASE, clock=clock)  # type: ignore[arg-type]


def test_points_wait_a_second_and_go_together(
    recorder: Recorder, database: Database, clock: Clock
) -> None:
    recorder.take(point(1))
    clock.now += BATCH_SECONDS / 2
    recorder.take(point(2))
    assert database.committed == []
    clock.now += BATCH_SECONDS / 2
    recorder.tick()
    assert database.committed == [("points", 1, 2)]


def test_a_full_batch_does_not_wait(recorder: Recorder, database: Database) -> None:
    for episode in range(1, BATCH_POINTS + 1):
        recorder.take(point(episode))
    assert database.committed == [("points", *range(1, BATCH_POINTS + 1))]


def test_a_checkpoint_is_written_at_once_after_the_points_before_it(
    recorder: Recorder, database: Database
) -> None:
    recorder.take(point(1))
    recorder.take(point(2))
    recorder.take(CHECKPOINT)
    assert database.committed == [("points", 1, 2), ("event", "checkpoint")]


def test_of_progress_only_the_newest_is_written(
    recorder: Recorder, database: Database, clock: Clock
) -> None:
    for done in range(5):
        recorder.take(ProgressRecord(phase="reading", done_units=done, total_units=9))
    clock.now += BATCH_SECONDS
    recorder.tick()
    assert database.committed == [("progress", "reading", 4, 9, "")]


def test_a_phase_makes_the_job_running_with_its_total(
    recorder: Recorder, database: Database
) -> None:
    recorder.take(PhaseRecord(phase="learning", total_units=40))
    assert database.committed == [("running", "learning"), ("progress", "learning", 0, 40, "")]


def test_a_resumed_engine_rewinds_before_its_points(
    recorder: Recorder, database: Database, clock: Clock
) -> None:
    recorder.take(ResumedRecord(episode=5, from_attempt=1))
    recorder.take(point(6))
    clock.now += BATCH_SECONDS
    recorder.tick()
    assert database.committed == [("rewind", 5), ("event", "resumed"), ("points", 6)]


def test_an_outage_keeps_everything_in_order(
    recorder: Recorder, database: Database, clock: Clock
) -> None:
    database.failure = OperationalError("select 1", {}, Exception("connection refused"))
    recorder.take(point(1))
    recorder.take(CHECKPOINT)
    recorder.take(point(2))
    assert database.committed == []
    database.failure = None
    clock.now += BATCH_SECONDS
    recorder.tick()
    assert database.committed == [("points", 1), ("event", "checkpoint"), ("points", 2)]


def test_a_lost_lease_is_not_taken_for_an_outage(recorder: Recorder, database: Database) -> None:
    database.failure = LeaseLostError(LEASE)
    with pytest.raises(LeaseLostError):
        recorder.take(CHECKPOINT)


def test_the_result_is_kept_for_the_end_of_the_job(recorder: Recorder, database: Database) -> None:
    recorder.take(result_record())
    recorder.flush()
    assert recorder.result == result_record()
    assert database.committed == []
