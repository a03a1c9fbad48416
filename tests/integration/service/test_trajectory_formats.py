"""The same points in every format, all of them or those that a picture needs."""

import csv
import io
import json
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text
from support.api import Api
from support.jobs import hold_job
from support.trajectories import append, resume

from service.db.session import unit_of_work
from service.jobs.leases import Lease

FORMATS = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
# One point becomes many, whose mixtures move slowly but for one spike.
MULTIPLY = """
insert into trajectory_points (job_id, step, episode, attempt, seq, alpha, delta, extra)
select job_id, 10 * g, g, attempt, g, array[s, 1 - s], delta, extra
from trajectory_points, generate_series(2, :count) g,
    lateral (select case g when 1234 then 0.9 else 0.5 + 0.00001 * (g % 7) end as s) as moved
where job_id = :job_id
"""
AHEAD = "update jobs set last_seq = :count, last_step = 10 * :count where id = :job_id"


@pytest.fixture
def lease(api: Api) -> Lease:
    return hold_job(api.context.sessions, api.create()["id"])


@pytest.fixture
def long(api: Api, lease: Lease) -> Lease:
    """A job of 5000 points."""
    append(api.context.sessions, lease, 1, 1)
    with unit_of_work(api.context.sessions) as work:
        for statement in (MULTIPLY, AHEAD):
            work.session.execute(text(statement), {"job_id": lease.job_id, "count": 5000})
    return lease


def _get(api: Api, lease: Lease, accept: str = "", **query: Any) -> httpx.Response:
    path = f"/v1/jobs/{lease.job_id}/trajectory"
    answer: Any = api.client.get(path, params=query, headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    found: httpx.Response = answer
    return found


def _rows(answer: httpx.Response) -> list[dict[str, Any]]:
    kind = answer.headers["Content-Type"].split(";")[0]
    if kind == FORMATS["csv"]:
        return [
            {
                name: float(value) if value[0] not in "TF" else value == "True"
                for name, value in row.items()
                if value
            }
            for row in csv.DictReader(io.StringIO(answer.text))
        ]
    if kind == FORMATS["ndjson"]:
        return [_flat(json.loads(line)) for line in answer.text.splitlines()]
    source = io.BytesIO(answer.content)
    table = pq.read_table(source) if kind == FORMATS["parquet"] else pa.ipc.open_stream(source)
    found = table.to_pylist() if kind == FORMATS["parquet"] else table.read_all().to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in found]


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{name}:{key}": inner for key, inner in value.items()}
        elif value is not None:
            flat[name] = value
    return flat


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_says_the_same(api: Api, lease: Lease, format_: str) -> None:
    append(api.context.sessions, lease, 1, 3, share=0.3)
    answer = _get(api, lease, format=format_)
    assert answer.headers["Content-Type"].split(";")[0] == FORMATS[format_]
    assert _get(api, lease, accept=FORMATS[format_]).content == answer.content
    rows = _rows(answer)
    columns = _get(api, lease).json()["columns"]
    assert [row["step"] for row in rows] == columns["step"] == [10, 20, 30]
    assert [[row["alpha:code"], row["alpha:manuals"]] for row in rows] == columns["alpha"]
    assert [row["travel"] for row in rows] == columns["travel"]
    assert [row["bounded"] for row in rows] == [True] * 3
    assert "target_loss" not in rows[0]
    assert "gap:code" not in rows[0]
    for name, value in (("Epoch", "1"), ("Last-Step", "30"), ("Next-Seq", "3")):
        assert answer.headers[f"X-{name}"] == value
    assert answer.headers["X-Has-More"] == "false"
    assert "X-Rewind-To-Step" not in answer.headers


@pytest.mark.parametrize("format_", FORMATS)
def test_a_job_without_points_is_a_table_without_rows(api: Api, lease: Lease, format_: str) -> None:
    answer = _get(api, lease, format=format_)
    assert _rows(answer) == []
    assert answer.headers["X-Last-Step"] == "0"


@pytest.mark.parametrize("format_", FORMATS)
def test_all_points_come_unless_fewer_are_asked_for(api: Api, long: Lease, format_: str) -> None:
    answer = _get(api, long, format=format_)
    assert [row["episode"] for row in _rows(answer)] == list(range(1, 5001))
    page = _get(api, long, format=format_, after_step=100, limit=2500)
    assert [row["episode"] for row in _rows(page)] == list(range(11, 2511))
    assert (page.headers["X-Has-More"], page.headers["X-Last-Step"]) == ("true", "25100")
    assert "X-Next-Seq" not in page.headers
    page = _get(api, long, format=format_, after_seq=4990, epoch=1, limit=10)
    assert [row["episode"] for row in _rows(page)] == list(range(4991, 5001))
    assert (page.headers["X-Has-More"], page.headers["X-Next-Seq"]) == ("false", "5000")


def test_a_rewind_is_told_in_a_header(api: Api, lease: Lease) -> None:
    append(api.context.sessions, lease, 1, 5)
    second = resume(api.context.sessions, lease, 3)
    append(api.context.sessions, second, 4, 4)
    for cursor in ({"after_step": 50}, {"after_seq": 5}):
        answer = _get(api, lease, format="csv", epoch=1, **cursor)
        assert answer.headers["X-Rewind-To-Step"] == "30"
        assert [row["step"] for row in _rows(answer)] == [40]


@pytest.mark.parametrize("most", [2, 3, 4, 7, 100, 501])
def test_fewer_points_keep_the_ends_and_the_spike(api: Api, long: Lease, most: int) -> None:
    episodes = _get(api, long, max_points=most).json()["columns"]["episode"]
    assert len(episodes) <= most
    assert most - len(episodes) <= 2
    assert (episodes[0], episodes[-1]) == (1, 5000)
    assert most == 2 or {1234, 1235} & {*episodes}
    assert most < 4 or 1234 in episodes
    for format_ in FORMATS:
        rows = _rows(_get(api, long, format=format_, max_points=most))
        assert [row["episode"] for row in rows] == episodes


def test_a_page_of_fewer_points_is_the_end(api: Api, long: Lease) -> None:
    page = _get(api, long, max_points=10, after_step=49_900).json()
    assert page["columns"]["episode"] == list(range(4991, 5001))
    assert (page["last_step"], page["next_seq"], page["has_more"]) == (50_000, 5000, False)


def test_the_tag_knows_the_format_and_how_many_points_were_asked_for(
    api: Api, lease: Lease
) -> None:
    append(api.context.sessions, lease, 1, 3)
    queries: list[dict[str, Any]] = [
        *({"format": format_} for format_ in (*FORMATS, "json")),
        *({"max_points": 2}, {"limit": 2}, {"after_seq": 0}),
    ]
    tags = [_get(api, lease, **query).headers["ETag"] for query in queries]
    assert len(set(tags)) == len(tags)
    path = f"/v1/jobs/{lease.job_id}/trajectory"
    for query, tag in zip(queries, tags, strict=True):
        same = api.client.get(path, params=query, headers={"If-None-Match": tag})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["Vary"] == "Accept, Prefer"
    append(api.context.sessions, lease, 4, 4)
    for query, tag in zip(queries, tags, strict=True):
        new = api.client.get(path, params=query, headers={"If-None-Match": tag})
        assert new.status_code == 200
