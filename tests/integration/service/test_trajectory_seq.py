"""Following a trajectory in the order of writing: any interleaving of writers and a reader."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from support.api import Api
from support.jobs import hold_job, insert_job, points
from support.trajectories import append, resume

from service.db.session import Sessions, unit_of_work
from service.jobs import leases, trajectory
from service.jobs.leases import Lease
from service.jobs.models import Job, TrajectoryRow
from service.jobs.trajectory import Query

# Appends of some episodes, a repeated delivery of the newest, a resume some episodes back.
WRITES = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 5)),
    st.tuples(st.just("repeat"), st.integers(1, 3)),
    st.tuples(st.just("resume"), st.integers(0, 6)),
)
# Small pages, and pages that hold all there is; between the two reads of some a writer commits.
READS = st.tuples(st.just("read"), st.sampled_from([1, 2, 3, 50]), st.none() | WRITES)


class Writer:
    """Writes as workers do; every attempt has mixtures of its own."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        with unit_of_work(sessions) as work:
            self.lease: Lease = hold_job(sessions, _committed(work.session))
        self.episode = 0

    @property
    def _share(self) -> float:
        return 0.5 + self.lease.attempt / 1000

    def do(self, kind: str, count: int) -> None:
        if kind == "append":
            first, self.episode = self.episode + 1, self.episode + count
            append(self.sessions, self.lease, first, self.episode, self._share)
        elif kind == "repeat" and self.episode:
            first = max(1, self.episode + 1 - count)
            with unit_of_work(self.sessions) as work:
                rows = work.session.execute(_rows(self.lease.job_id)).all()
                shares = {row.episode: row.alpha[0] for row in rows}
                batch = [
                    points(episode, episode, share=shares[episode])[0]
                    for episode in range(first, self.episode + 1)
                ]
                leases.append_points(work.session, self.lease, batch)
        elif kind == "resume":
            self.episode = max(0, self.episode - count)
            self.lease = resume(self.sessions, self.lease, self.episode)


class Reader:
    """Follows by `after_seq` and keeps what counts."""

    def __init__(self, sessions: Sessions, job_id: str) -> None:
        self.sessions, self.job_id = sessions, job_id
        self.seq, self.epoch = 0, None
        self.held: dict[int, tuple[int, float]] = {}
        self.delivered: list[tuple[int, int]] = []

    def read(self, limit: int, between: Callable[[], None] = lambda: None) -> bool:
        with unit_of_work(self.sessions) as work:
            job = work.session.scalars(select(Job).where(Job.id == self.job_id)).one()
        between()  # another transaction commits between the reads of one answer
        with unit_of_work(self.sessions) as work:
            query = Query("seq", self.seq, limit, self.epoch)
            page = trajectory.read_page(work.session, job, query)
        if page.rewind_to is not None:
            to_step = page.rewind_to
            self.held = {step: value for step, value in self.held.items() if step <= to_step}
        for point in page.points:
            assert point.step not in self.held
            self.held[point.step] = (point.seq, point.alpha[0])
            self.delivered.append((point.step, point.seq))
        assert page.next_seq is not None
        assert page.next_seq >= self.seq
        self.seq, self.epoch = page.next_seq, job.epoch
        return page.has_more


def _committed(session: Any) -> str:
    job_id = insert_job(session, max_attempts=1000)
    session.commit()
    return job_id


def _rows(job_id: str) -> Any:
    return (
        select(TrajectoryRow)
        .with_only_columns(
            TrajectoryRow.step, TrajectoryRow.episode, TrajectoryRow.seq, TrajectoryRow.alpha
        )
        .where(TrajectoryRow.job_id == job_id)
    )


@given(operations=st.lists(st.one_of(WRITES, READS, READS), min_size=4, max_size=16))
@settings(
    max_examples=120,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_reader_by_seq_gets_every_point_that_counts_exactly_once(
    sessions: Sessions, operations: list[tuple[Any, ...]]
) -> None:
    writer = Writer(sessions)
    reader = Reader(sessions, writer.lease.job_id)
    for kind, count, *rest in operations:
        if kind != "read":
            writer.do(kind, count)
        elif rest[0] is None:
            reader.read(count)
        else:
            write = rest[0]
            reader.read(count, lambda write=write: writer.do(*write))  # type: ignore[misc]
    while reader.read(3):
        pass
    with unit_of_work(sessions) as work:
        rows = work.session.execute(_rows(reader.job_id)).all()
    assert reader.held == {row.step: (row.seq, row.alpha[0]) for row in rows}
    assert len(reader.delivered) == len(set(reader.delivered))


def _read(api: Api, job_id: str, **query: Any) -> dict[str, Any]:
    answer = api.client.get(f"/v1/jobs/{job_id}/trajectory", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def test_a_cursor_by_seq_is_handed_on_from_page_to_page(api: Api) -> None:
    sessions = api.context.sessions
    lease = hold_job(sessions, api.create()["id"])
    append(sessions, lease, 1, 5)
    page = _read(api, lease.job_id, after_seq=0, limit=3)
    assert (page["columns"]["step"], page["next_seq"], page["last_seq"]) == ([10, 20, 30], 3, 5)
    assert (page["has_more"], page["last_step"]) == (True, 30)
    page = _read(api, lease.job_id, after_seq=3, epoch=1, limit=3)
    assert (page["columns"]["step"], page["next_seq"], page["has_more"]) == ([40, 50], 5, False)
    second = resume(sessions, lease, 4)
    append(sessions, second, 5, 5)
    page = _read(api, lease.job_id, after_seq=5, epoch=1)
    assert (page["rewind"], page["columns"]["step"]) == ({"to_step": 40}, [50])
    assert (page["next_seq"], page["epoch"]) == (6, 2)
    page = _read(api, lease.job_id, after_seq=6, epoch=2)
    assert (page["rewind"], page["columns"]["step"], page["last_step"]) == (None, [], 50)


def test_a_reader_by_steps_can_go_on_by_seq_from_the_end(api: Api) -> None:
    lease = hold_job(api.context.sessions, api.create()["id"])
    append(api.context.sessions, lease, 1, 4)
    assert _read(api, lease.job_id, limit=2)["next_seq"] is None
    assert _read(api, lease.job_id, after_step=20)["next_seq"] == 4


def test_a_cursor_that_is_not_whole_is_refused(api: Api) -> None:
    path = f"/v1/jobs/{api.create()['id']}/trajectory"
    for query, pointer in (
        ({"after_seq": 3}, "query:epoch"),
        ({"after_seq": 3, "epoch": 1, "after_step": 10}, "query:after_step"),
        ({"after_seq": -1}, "query:after_seq"),
    ):
        answer = api.client.get(path, params=query)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == pointer
