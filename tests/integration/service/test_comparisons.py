"""Comparisons: created whole or not at all, read while they run, retried, reused."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from support.api import Api
from support.comparisons import cell_result
from support.jobs import hold_job, points

from service.auth.create_key import create_key
from service.db.session import unit_of_work
from service.jobs import leases
from tandem_engine.contracts.records import ErrorRecord

PATHS = [("GET", ""), ("GET", "/report"), ("POST", "/cancel"), ("POST", "/retry")]


def body(api: Api, entries: list[Any] | None = None, **changes: Any) -> dict[str, Any]:
    spec = {"base": api.spec(seed=3), "entries": entries or ["tandem", "uniform"], "seeds": 2}
    return {"name": "peers", "spec": spec | changes}


def create(api: Api, *, expect: int = 201, **changes: Any) -> dict[str, Any]:
    return post(api, body(api, **changes), expect=expect)


def post(api: Api, document: dict[str, Any], *, expect: int = 201) -> dict[str, Any]:
    answer = api.client.post("/v1/comparisons", json=document)
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json()
    return found


def finish(api: Api, job_id: str, losses: tuple[float, float], method: str) -> None:
    lease = hold_job(api.context.sessions, job_id)
    with unit_of_work(api.context.sessions) as work:
        leases.append_points(work.session, lease, points(1, 3))
        leases.finish_succeeded(work.session, lease, cell_result(losses, method=method))


def fail(api: Api, job_id: str) -> None:
    lease = hold_job(api.context.sessions, job_id)
    error = ErrorRecord(code="diverged", message="a loss is not finite", retryable=False)
    with unit_of_work(api.context.sessions) as work:
        leases.finish_failed(work.session, lease, error)


def read(api: Api, comparison: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.client.get(comparison["links"]["self"]).json()
    return found


def jobs(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.client.get("/v1/jobs", params={"limit": 100}).json()["data"]
    return found


def test_there_is_a_job_for_every_entry_and_seed(api: Api) -> None:
    comparison = create(api)
    cells = comparison["cells"]
    assert [(c["entry"], c["seed"], c["state"]) for c in cells] == [
        ("tandem", 0, "queued"),
        ("uniform", 0, "queued"),
        ("tandem", 1, "queued"),
        ("uniform", 1, "queued"),
    ]
    by_id = {job["id"]: job for job in jobs(api)}
    assert set(by_id) == {cell["job_id"] for cell in cells}
    last = by_id[cells[-1]["job_id"]]
    assert (last["spec"]["method"]["kind"], last["spec"]["seed"]) == ("uniform", 4)
    assert last["labels"] == {"comparison": comparison["id"], "entry": "uniform", "seed": "1"}
    assert (comparison["state"], comparison["name"]) == ("queued", "peers")
    assert read(api, comparison) == comparison


def test_the_table_grows_while_cells_finish(api: Api) -> None:
    comparison = create(api)
    cells = comparison["cells"]
    finish(api, cells[0]["job_id"], (2.0, 2.2), "tandem")
    hold_job(api.context.sessions, cells[1]["job_id"])
    shown = read(api, comparison)
    assert shown["state"] == "running"
    rows = {row["entry"]: row for row in shown["table"]["entries"]}
    assert rows["tandem"]["average_loss"] == pytest.approx(2.1)
    assert rows["uniform"]["average_loss"] is None


def test_a_failed_run_fails_its_cell_and_a_retry_runs_only_that(api: Api) -> None:
    comparison = create(api)
    ids = [cell["job_id"] for cell in comparison["cells"]]
    for place, job_id in enumerate(ids[:3]):
        finish(api, job_id, (2.0 + place / 10, 2.2), ("tandem", "uniform", "tandem")[place])
    fail(api, ids[3])
    shown = read(api, comparison)
    assert shown["state"] == "partial"
    rows = {row["entry"]: row for row in shown["table"]["entries"]}
    assert (rows["tandem"]["seeds_done"], rows["uniform"]["seeds_done"]) == (2, 1)
    assert rows["uniform"]["failures"] == ["seed 1: diverged: a loss is not finite"]

    answer = api.client.post(comparison["links"]["retry"])
    assert answer.status_code == 202
    again = [cell["job_id"] for cell in answer.json()["cells"]]
    assert again[:3] == ids[:3]
    assert again[3] not in ids
    finish(api, again[3], (2.4, 2.5), "uniform")
    assert read(api, comparison)["state"] == "succeeded"


def test_the_same_comparison_again_takes_what_is_finished_or_under_way(api: Api) -> None:
    document = body(api)
    first = post(api, document)
    finish(api, first["cells"][0]["job_id"], (2.0, 2.2), "tandem")
    fail(api, first["cells"][1]["job_id"])
    second = post(api, document)
    assert [cell["reused"] for cell in second["cells"]] == [True, False, True, True]
    assert [c["job_id"] for c in second["cells"]][2:] == [c["job_id"] for c in first["cells"]][2:]
    assert len(jobs(api)) == 5
    third = post(api, document | {"reuse": False})
    assert not any(cell["reused"] for cell in third["cells"])


def test_a_returned_specification_means_the_same_when_it_is_submitted_again(api: Api) -> None:
    first = create(api)
    second = post(api, {"spec": first["spec"]})
    assert all(cell["reused"] for cell in second["cells"])
    assert second["spec"] == first["spec"]
    assert second["learning_budget"] == first["learning_budget"]
    job = api.client.get(f"/v1/jobs/{first['cells'][0]['job_id']}").json()["spec"]
    # Tandem's own cell spends the whole of a budget that is its own.
    assert job["learning"]["total_steps"] // 30 == 800 // 30


def test_nothing_is_taken_once_the_data_changed(api: Api, tmp_path: Path) -> None:
    document = body(api)
    first = post(api, document)
    finish(api, first["cells"][0]["job_id"], (2.0, 2.2), "tandem")
    later = time.time() + 60
    os.utime(tmp_path / "code.jsonl", (later, later))
    assert not any(cell["reused"] for cell in post(api, document)["cells"])


def test_a_cancel_spares_finished_cells_and_jobs_that_were_there_before(api: Api) -> None:
    document = body(api)
    first = post(api, document)
    finish(api, first["cells"][0]["job_id"], (2.0, 2.2), "tandem")
    second = post(api, document | {"spec": document["spec"] | {"seeds": 3}})
    answer = api.client.post(second["links"]["cancel"])
    assert answer.status_code == 202
    states = {(c["entry"], c["seed"]): c["state"] for c in answer.json()["cells"]}
    assert states["tandem", 0] == "succeeded"
    assert states["uniform", 1] == "queued"
    assert states["tandem", 2] == states["uniform", 2] == "cancelled"


def test_a_bad_file_leaves_neither_comparison_nor_job(api: Api, tmp_path: Path) -> None:
    missing = {"name": "b", "uris": [str(tmp_path / "none.jsonl")]}
    problem = create(api, expect=422, base={"domains": [api.domain("a"), missing]})
    assert problem["errors"][0]["pointer"] == "/spec/base/domains/1/uris/0"
    assert jobs(api) == []
    assert api.client.get("/v1/comparisons").json()["data"] == []


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"entries": ["tandem", "nonsense"]}, "/spec/entries/1", "nonsense"),
        (
            {"entries": ["tandem", {"name": "odd", "learning": {"probing_step": 1}}]},
            "/spec/entries",
            "entry 'odd' does not fit the base",
        ),
        ({"entries": ["uniform", "regmix"], "learning_budget": 50}, "/spec/learning_budget", "50"),
        ({"seeds": 0}, "/spec/seeds", "0"),
        (
            {
                "entries": [
                    "tandem",
                    {"name": "x", "model": {"architecture": "huggingface", "path": "/etc"}},
                ]
            },
            "/spec/entries/1/model/path",
            "outside of the folders that data may come from",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    api: Api, changes: dict[str, Any], pointer: str, words: str
) -> None:
    problem = create(api, expect=422, **changes)
    assert any(error["pointer"].startswith(pointer) for error in problem["errors"])
    assert words in str(problem)
    assert jobs(api) == []


def test_too_many_cells_are_refused(api: Api) -> None:
    entries = [
        {"name": f"K {k}", "learning": {"probing_steps": k, "free_steps": 1}} for k in range(1, 18)
    ]
    problem = create(api, expect=422, entries=entries, seeds=32)
    assert problem["errors"][0]["code"] == "too_many_cells"
    assert "512 are the most" in problem["errors"][0]["hint"]


def test_a_lost_answer_can_be_asked_for_without_a_second_comparison(api: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    document = body(api)
    first = api.client.post("/v1/comparisons", json=document, headers=headers)
    second = api.client.post("/v1/comparisons", json=document, headers=headers)
    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len(jobs(api)) == 4


def test_a_fault_in_the_middle_of_creation_leaves_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the machine is on fire")

    monkeypatch.setattr("service.comparisons.creation.add_comparison", broken)
    assert api.client.post("/v1/comparisons", json=body(api)).status_code == 500
    with unit_of_work(api.context.sessions) as work:
        assert work.session.execute(text("select count(*) from jobs")).scalar_one() == 0


@pytest.mark.parametrize(
    ("kind", "media_type", "words"),
    [
        ("json", "application/json", '"entry":"tandem"'),
        ("csv", "text/csv", "average_perplexity"),
        ("markdown", "text/markdown", "## Test perplexity"),
        ("html", "text/html", "<svg"),
    ],
)
def test_there_is_a_report_in_every_format_while_jobs_run(
    api: Api, kind: str, media_type: str, words: str
) -> None:
    comparison = create(api)
    finish(api, comparison["cells"][0]["job_id"], (2.0, 2.2), "tandem")
    answer = api.client.get(comparison["links"]["report"], params={"format": kind})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(media_type)
    assert words in answer.text
    if kind == "html":
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "How alpha moved" in answer.text
        assert "7 cells" not in answer.text
        assert "3 cells are not finished" in answer.text


def test_what_did_not_change_is_not_sent_again(api: Api) -> None:
    comparison = create(api)
    etag = api.client.get(comparison["links"]["self"]).headers["ETag"]
    headers = {"If-None-Match": etag}
    assert api.client.get(comparison["links"]["self"], headers=headers).status_code == 304
    finish(api, comparison["cells"][0]["job_id"], (2.0, 2.2), "tandem")
    assert api.client.get(comparison["links"]["self"], headers=headers).status_code == 200


def test_comparisons_are_listed_newest_first_in_pages(api: Api) -> None:
    made = [create(api, seeds=1)["id"] for _ in range(3)]
    first = api.client.get("/v1/comparisons", params={"limit": 2}).json()
    assert [one["id"] for one in first["data"]] == made[:0:-1]
    assert first["data"][0]["cells_by_state"] == {"queued": 2}
    token = first["next_page_token"]
    second = api.client.get("/v1/comparisons", params={"limit": 2, "page_token": token}).json()
    assert [one["id"] for one in second["data"]] == [made[0]]
    assert second["next_page_token"] is None


@pytest.mark.parametrize(("method", "suffix"), PATHS)
def test_the_comparison_of_another_tenant_is_not_found(api: Api, method: str, suffix: str) -> None:
    path = create(api)["links"]["self"] + suffix
    pepper = api.context.settings.key_pepper.get_secret_value()
    stranger = create_key(api.context.sessions, name="x", tenant="two", pepper=pepper)
    headers = {"Authorization": f"Bearer {stranger}"}
    answer = api.client.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert api.client.get("/v1/comparisons", headers=headers).json()["data"] == []
    unknown = api.client.request(method, f"/v1/comparisons/a%00b{suffix}")
    assert unknown.status_code == 404


def test_a_job_of_another_tenant_never_fills_a_cell(api: Api) -> None:
    document = body(api)
    post(api, document)
    pepper = api.context.settings.key_pepper.get_secret_value()
    stranger = create_key(api.context.sessions, name="x", tenant="two", pepper=pepper)
    headers = {"Authorization": f"Bearer {stranger}"}
    answer = api.client.post("/v1/comparisons", json=document, headers=headers)
    assert not any(cell["reused"] for cell in answer.json()["cells"])
