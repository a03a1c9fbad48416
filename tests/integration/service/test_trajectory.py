"""Reading the trajectory while it is written, rewound and finished."""

import csv
import io
from typing import Any

import pytest
from sqlalchemy import event
from support.api import Api
from support.jobs import hold_job, points, result_record

from service.db.session import unit_of_work
from service.jobs import leases
from service.jobs.leases import Lease
from service.jobs.trajectory_schemas import TrajectoryColumns
from tandem_engine.contracts.records import TrajectoryPoint


def _append(api: Api, lease: Lease, first: int, last: int, share: float = 0.5) -> None:
    with unit_of_work(api.context.sessions) as work:
        leases.append_points(work.session, lease, points(first, last, share=share))


def _resume(api: Api, lease: Lease, episode: int) -> Lease:
    with unit_of_work(api.context.sessions) as work:
        leases.release(work.session, lease, reason="drained", spends_budget=False)
    second = hold_job(api.context.sessions, lease.job_id, "worker-b")
    with unit_of_work(api.context.sessions) as work:
        leases.rewind(work.session, second, episode)
    return second


def _read(api: Api, job_id: str, **query: Any) -> dict[str, Any]:
    answer = api.client.get(f"/v1/jobs/{job_id}/trajectory", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


@pytest.fixture
def lease(api: Api) -> Lease:
    return hold_job(api.context.sessions, api.create()["id"])


def test_the_columns_are_those_of_the_contract() -> None:
    assert list(TrajectoryColumns.model_fields) == [
        name for name in TrajectoryPoint.model_fields if name != "type"
    ]


def test_a_reader_gets_each_point_once_as_it_is_written(api: Api, lease: Lease) -> None:
    empty = _read(api, lease.job_id)
    assert (empty["columns"]["step"], empty["last_step"], empty["has_more"]) == ([], 0, False)

    _append(api, lease, 1, 3)
    first = _read(api, lease.job_id, after_step=empty["last_step"], epoch=empty["epoch"])
    assert first["columns"]["step"] == [10, 20, 30]
    assert first["domains"] == ["code", "manuals"]
    expected = points(1, 3)
    for name in TrajectoryColumns.model_fields:
        assert first["columns"][name] == [getattr(point, name) for point in expected]

    _append(api, lease, 4, 4)
    second = _read(api, lease.job_id, after_step=first["last_step"], epoch=first["epoch"])
    assert (second["columns"]["step"], second["rewind"]) == ([40], None)
    assert (second["job_state"], second["poll_after_ms"]) == ("running", 2000)


def test_every_point_names_its_run(api: Api, lease: Lease) -> None:
    later = {"run": 3, "seed": 1, "restart": 2, "bounded": False}
    batch = [*points(1, 2), *(point.evolve(**later) for point in points(3, 4))]
    with unit_of_work(api.context.sessions) as work:
        leases.append_points(work.session, lease, batch)
    columns = _read(api, lease.job_id)["columns"]
    assert columns["run"] == [0, 0, 3, 3]
    assert columns["seed"] == [0, 0, 1, 1]
    assert columns["restart"] == [0, 0, 2, 2]
    assert columns["bounded"] == [True, True, False, False]
    # The same step again, as a resumed attempt would write it, replaces the run too.
    with unit_of_work(api.context.sessions) as work:
        leases.append_points(work.session, lease, points(4, 4))
    assert _read(api, lease.job_id)["columns"]["run"] == [0, 0, 3, 0]
    answer = api.client.get(f"/v1/jobs/{lease.job_id}/trajectory", params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["run"] for row in rows] == ["0", "0", "3", "0"]
    assert [row["bounded"] for row in rows] == ["True", "True", "False", "True"]


def test_a_finished_trajectory_says_that_it_is_complete(api: Api, lease: Lease) -> None:
    _append(api, lease, 1, 3)
    with unit_of_work(api.context.sessions) as work:
        leases.finish_succeeded(work.session, lease, result_record())
    page = _read(api, lease.job_id, limit=2)
    assert (page["has_more"], page["poll_after_ms"], page["last_step"]) == (True, 0, 20)
    page = _read(api, lease.job_id, limit=2, after_step=20)
    assert (page["has_more"], page["poll_after_ms"], page["last_step"]) == (False, None, 30)
    assert page["job_state"] == "succeeded"


def test_a_reader_is_told_to_forget_what_a_resumed_attempt_rewrites(api: Api, lease: Lease) -> None:
    _append(api, lease, 1, 5)
    known = _read(api, lease.job_id)
    second = _resume(api, lease, 3)

    page = _read(api, lease.job_id, after_step=known["last_step"], epoch=known["epoch"])
    assert (page["epoch"], page["rewind"], page["columns"]["step"]) == (2, {"to_step": 30}, [])

    _append(api, second, 4, 6, share=0.9)
    page = _read(api, lease.job_id, after_step=known["last_step"], epoch=known["epoch"])
    assert page["rewind"] == {"to_step": 30}
    assert page["columns"]["step"] == [40, 50, 60]
    assert page["columns"]["alpha"][0] == [0.9, 1 - 0.9]
    page = _read(api, lease.job_id, after_step=page["last_step"], epoch=page["epoch"])
    assert (page["rewind"], page["columns"]["step"]) == (None, [])


def test_a_reader_that_slept_through_two_rewinds_goes_back_to_the_earlier(
    api: Api, lease: Lease
) -> None:
    _append(api, lease, 1, 9)
    second = _resume(api, lease, 2)
    _append(api, second, 3, 9)
    third = _resume(api, second, 6)
    _append(api, third, 7, 9)
    page = _read(api, lease.job_id, after_step=90, epoch=1)
    assert page["rewind"] == {"to_step": 20}
    assert page["columns"]["step"] == [30, 40, 50, 60, 70, 80, 90]
    page = _read(api, lease.job_id, after_step=90, epoch=2)
    assert page["rewind"] == {"to_step": 60}


def test_a_reader_that_holds_only_older_points_need_not_forget_any(api: Api, lease: Lease) -> None:
    _append(api, lease, 1, 5)
    _resume(api, lease, 3)
    page = _read(api, lease.job_id, after_step=20, epoch=1)
    assert (page["rewind"], page["columns"]["step"], page["epoch"]) == (None, [30], 2)


def test_a_reader_beyond_the_end_is_sent_back_even_without_an_epoch(api: Api, lease: Lease) -> None:
    _append(api, lease, 1, 5)
    _resume(api, lease, 3)
    page = _read(api, lease.job_id, after_step=50)
    assert (page["rewind"], page["last_step"]) == ({"to_step": 30}, 30)


def test_an_unchanged_page_is_not_sent_again(api: Api, lease: Lease) -> None:
    _append(api, lease, 1, 2)
    path = f"/v1/jobs/{lease.job_id}/trajectory"
    etag = api.client.get(path).headers["ETag"]
    same = api.client.get(path, headers={"If-None-Match": etag})
    assert (same.status_code, same.content) == (304, b"")
    other = api.client.get(path, params={"after_step": 10}, headers={"If-None-Match": etag})
    assert other.status_code == 200
    _append(api, lease, 3, 3)
    assert api.client.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_a_rewind_changes_the_tag(api: Api, lease: Lease) -> None:
    _append(api, lease, 1, 5)
    path = f"/v1/jobs/{lease.job_id}/trajectory"
    etag = api.client.get(path).headers["ETag"]
    _resume(api, lease, 3)
    assert api.client.get(path, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(
    "request_as", [{"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}]
)
def test_the_same_points_come_as_csv(api: Api, lease: Lease, request_as: dict[str, Any]) -> None:
    _append(api, lease, 1, 3)
    answer = api.client.get(f"/v1/jobs/{lease.job_id}/trajectory", **request_as)
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["X-Last-Step"] == "30"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["step"] for row in rows] == ["10", "20", "30"]
    assert [float(row["alpha:code"]) + float(row["alpha:manuals"]) for row in rows] == [1.0] * 3
    assert float(rows[0]["epochs:manuals"]) == 0.2


def test_the_number_of_queries_does_not_grow_with_the_points(api: Api, lease: Lease) -> None:
    _append(api, lease, 1, 300)
    statements: list[str] = []

    def count(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(api.context.engine, "before_cursor_execute", count)
    assert len(_read(api, lease.job_id)["columns"]["step"]) == 300
    # Beside the key only the job; the points are read beside SQLAlchemy, by one statement.
    assert len([statement for statement in statements if "api_keys" not in statement]) == 1


def test_a_negative_step_is_refused(api: Api, lease: Lease) -> None:
    path = f"/v1/jobs/{lease.job_id}/trajectory"
    answer = api.client.get(path, params={"after_step": -1})
    assert answer.json()["errors"][0]["pointer"] == "query:after_step"
