"""What may be asked of a job: pause, resume, retry, clone, and a deadline."""

from typing import Any

import pytest
from support.api import Api
from support.jobs import hold_job, points
from support.messages import messages

from service.db.session import unit_of_work
from service.jobs import leases
from service.jobs.leases import Lease
from service.settings import Settings
from tandem_engine.contracts.records import ErrorRecord

ERROR = ErrorRecord(code="diverged", message="no", retryable=False, hint="", field=None)


def ask(api: Api, job: dict[str, Any], what: str) -> tuple[int, dict[str, Any]]:
    answer = api.client.post(job["links"][what])
    return answer.status_code, answer.json()


def failed(api: Api) -> tuple[dict[str, Any], Lease]:
    job = api.create()
    lease = hold_job(api.context.sessions, job["id"])
    with unit_of_work(api.context.sessions) as work:
        leases.append_points(work.session, lease, points(1, 3))
        leases.finish_failed(work.session, lease, ERROR)
    return job, lease


def test_a_queued_job_is_paused_at_once_and_no_worker_takes_it(api: Api) -> None:
    job = api.create()
    status, shown = ask(api, job, "pause")
    assert (status, shown["state"]) == (202, "paused")
    with unit_of_work(api.context.sessions) as work:
        assert leases.claim(work.session, job["id"], "worker-a") is None
    assert ask(api, job, "pause")[0] == 200
    status, shown = ask(api, job, "resume")
    assert (status, shown["state"]) == (202, "queued")
    assert ask(api, job, "resume")[0] == 200
    with unit_of_work(api.context.sessions) as work:
        assert leases.claim(work.session, job["id"], "worker-a") is not None


def test_a_held_job_is_paused_by_its_worker(api: Api) -> None:
    job = api.create()
    lease = hold_job(api.context.sessions, job["id"])
    assert ask(api, job, "pause")[1]["state"] == "pausing"
    with unit_of_work(api.context.sessions) as work:
        assert leases.renew(work.session, lease) == "pause"
        leases.append_points(work.session, lease, points(1, 2))
        leases.finish_paused(work.session, lease)
    shown = api.client.get(job["links"]["self"]).json()
    assert (shown["state"], shown["progress"]["episode"]) == ("paused", 2)


@pytest.mark.parametrize("what", ["pause", "resume", "retry"])
def test_a_job_in_another_state_refuses_and_says_why(api: Api, what: str) -> None:
    job = api.create()
    ask(api, job, "cancel")
    if what == "retry":
        ask(api, job, "retry")
    status, problem = ask(api, job, what)
    assert (status, problem["code"]) == (409, "invalid_state")
    assert "the job is" in problem["detail"]


def test_a_paused_job_can_be_cancelled(api: Api) -> None:
    job = api.create()
    ask(api, job, "pause")
    assert ask(api, job, "cancel")[1]["state"] == "cancelled"


def test_a_failed_job_is_tried_again_with_all_attempts_and_keeps_what_it_learned(api: Api) -> None:
    job, old = failed(api)
    status, shown = ask(api, job, "retry")
    assert (status, shown["state"], shown["error"]) == (202, "queued", None)
    assert shown["finished_at"] is None
    assert shown["progress"]["episode"] == 3
    lease = hold_job(api.context.sessions, job["id"])
    assert lease.attempt == old.attempt + 1
    # The attempt that failed may wake up late: it writes nothing.
    with pytest.raises(leases.LeaseLostError), unit_of_work(api.context.sessions) as work:
        leases.append_points(work.session, old, points(4, 4))


@pytest.mark.parametrize("what", ["retry", "resume"])
def test_a_job_that_is_queued_again_is_announced_to_the_workers(
    api: Api, settings: Settings, what: str
) -> None:
    if what == "retry":
        job, _ = failed(api)
    else:
        job = api.create()
        ask(api, job, "pause")
    before = len(messages(settings))
    ask(api, job, what)
    newest, *_ = messages(settings)
    assert len(messages(settings)) == before + 1
    assert job["id"] in newest["headers"]["argsrepr"]


def test_a_retry_is_an_event(api: Api) -> None:
    job, _ = failed(api)
    ask(api, job, "retry")
    events = api.client.get(job["links"]["events"]).json()["data"]
    assert events[-1]["data"]["from"] == "failed"
    assert events[-1]["data"]["to"] == "queued"


def test_a_clone_differs_only_in_what_was_asked_for(api: Api) -> None:
    job = api.create(seed=3)
    answer = api.client.post(
        job["links"]["clone"],
        json={"overrides": {"seed": 4, "learning": {"seeds": 2}}, "labels": {"a": "b"}},
    )
    assert answer.status_code == 201, answer.text
    copy = answer.json()
    assert answer.headers["Location"] == copy["links"]["self"]
    assert (copy["parent_job_id"], copy["labels"]) == (job["id"], {"a": "b"})
    expected = job["spec"] | {"seed": 4, "learning": job["spec"]["learning"] | {"seeds": 2}}
    assert copy["spec"] == expected
    assert copy["state"] == "queued"


def test_a_clone_is_made_once_per_key(api: Api) -> None:
    job = api.create()
    headers = {"Idempotency-Key": "again"}
    answers = [
        api.client.post(job["links"]["clone"], json={}, headers=headers).json() for _ in range(2)
    ]
    assert answers[0]["id"] == answers[1]["id"] != job["id"]


@pytest.mark.parametrize(
    ("overrides", "pointer"),
    [
        ({"seed": -1}, "/spec/seed"),
        ({"nonsense": 1}, "/spec/nonsense"),
        ({"domains": []}, "/spec/domains"),
        ({"learning": {"total_steps": "many"}}, "/spec/learning/total_steps"),
    ],
)
def test_a_wrong_change_is_refused_with_a_pointer(
    api: Api, overrides: dict[str, Any], pointer: str
) -> None:
    job = api.create()
    answer = api.client.post(job["links"]["clone"], json={"overrides": overrides})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert len(api.client.get("/v1/jobs").json()["data"]) == 1


def test_a_deadline_is_shown_and_a_retry_forgets_it(api: Api) -> None:
    body = {"spec": api.spec(), "deadline_seconds": 3600}
    job = api.client.post("/v1/jobs", json=body).json()
    assert job["deadline_at"] > job["created_at"]
    ask(api, job, "cancel")
    assert ask(api, job, "retry")[1]["deadline_at"] is None


def test_a_job_of_nobody_cannot_be_asked_for_anything(api: Api) -> None:
    for what in ("pause", "resume", "retry", "clone"):
        answer = api.client.post(f"/v1/jobs/job_nobody/{what}", json={})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
