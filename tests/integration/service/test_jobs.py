"""Reading, listing and cancelling jobs."""

from datetime import datetime

import pytest
from sqlalchemy import text
from support.api import Api
from support.jobs import hold_job, points, result_record

from service.auth.create_key import create_key
from service.db.session import unit_of_work
from service.jobs import leases
from tandem_engine.contracts.records import ErrorRecord
from tandem_engine.contracts.spec import JobSpec

JOB_PATHS = ["", "/cancel", "/events", "/mixture", "/trajectory", "/manifest", "/manifest/files/x"]


def _call(api: Api, path: str, **options: object) -> tuple[int, str]:
    method = "POST" if path.endswith("/cancel") else "GET"
    answer = api.client.request(method, path, **options)  # type: ignore[arg-type]
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("suffix", JOB_PATHS)
@pytest.mark.parametrize("job_id", ["job_none", "a%00b", "..%2f..", "x" * 90])
def test_an_unknown_job_is_not_found(api: Api, suffix: str, job_id: str) -> None:
    assert _call(api, f"/v1/jobs/{job_id}{suffix}") == (404, "not_found")


@pytest.mark.parametrize("suffix", JOB_PATHS)
def test_the_job_of_another_tenant_is_not_found(api: Api, suffix: str) -> None:
    job = api.create()
    pepper = api.context.settings.key_pepper.get_secret_value()
    stranger = create_key(api.context.sessions, name="x", tenant="two", pepper=pepper)
    headers = {"Authorization": f"Bearer {stranger}"}
    assert _call(api, f"/v1/jobs/{job['id']}{suffix}", headers=headers) == (404, "not_found")
    assert api.client.get("/v1/jobs", headers=headers).json()["data"] == []
    assert api.client.get(f"/v1/jobs/{job['id']}").json()["state"] == "queued"


@pytest.mark.parametrize("suffix", JOB_PATHS)
@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic abc", "Bearer tnd_", "Bearer tnd_000000000000_" + "0" * 64],
)
def test_a_request_without_a_valid_key_is_refused(api: Api, suffix: str, header: str) -> None:
    headers = {"Authorization": header}
    assert _call(api, f"/v1/jobs/x{suffix}", headers=headers) == (401, "unauthorized")


def test_a_key_with_another_secret_is_refused(api: Api) -> None:
    key = str(api.client.headers["Authorization"])
    forged = key[:-1] + ("0" if key[-1] != "0" else "1")
    answer = api.client.get("/v1/jobs", headers={"Authorization": forged})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_running_job_shows_progress_and_mixture(api: Api) -> None:
    job = api.create()
    lease = hold_job(api.context.sessions, job["id"])
    with unit_of_work(api.context.sessions) as work:
        leases.append_points(work.session, lease, points(1, 2, share=0.75))
        leases.record_progress(work.session, lease, "learning", 20, 400, "episode 2")

    shown = api.client.get(f"/v1/jobs/{job['id']}").json()

    assert (shown["state"], shown["phase"], shown["attempt"]) == ("running", "learning", 1)
    assert shown["alpha"] == {"code": 0.75, "manuals": 0.25}
    assert shown["progress"] == {
        "episode": 2,
        "total_episodes": JobSpec.model_validate(shown["spec"]).learning.episodes,
        "phase_done": 20,
        "phase_total": 400,
        "message": "episode 2",
        "tokens": 40_960,
    }
    assert datetime.fromisoformat(shown["started_at"]).utcoffset() is not None


def test_an_unchanged_job_is_not_sent_again(api: Api) -> None:
    path = f"/v1/jobs/{api.create()['id']}"
    etag = api.client.get(path).headers["ETag"]
    same = api.client.get(path, headers={"If-None-Match": etag})
    assert (same.status_code, same.content) == (304, b"")
    hold_job(api.context.sessions, path.rsplit("/", 1)[1])
    assert api.client.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_a_heartbeat_alone_does_not_change_what_is_shown(api: Api) -> None:
    job = api.create()
    lease = hold_job(api.context.sessions, job["id"])
    etag = api.client.get(f"/v1/jobs/{job['id']}").headers["ETag"]
    with unit_of_work(api.context.sessions) as work:
        leases.renew(work.session, lease)
    assert api.client.get(f"/v1/jobs/{job['id']}").headers["ETag"] == etag


def test_a_job_that_succeeded_shows_result_and_mixture(api: Api) -> None:
    job = api.create()
    before = api.client.get(f"/v1/jobs/{job['id']}/mixture")
    assert (before.status_code, before.json()["code"]) == (409, "mixture_not_ready")
    lease = hold_job(api.context.sessions, job["id"])
    with unit_of_work(api.context.sessions) as work:
        leases.finish_succeeded(work.session, lease, result_record())

    shown = api.client.get(f"/v1/jobs/{job['id']}").json()
    assert (shown["state"], shown["phase"]) == ("succeeded", None)
    assert shown["result"]["episodes"] == 40
    mixture = api.client.get(shown["links"]["mixture"])
    assert mixture.json() == {
        "object": "mixture",
        "job_id": job["id"],
        "unit": "tokens",
        "shares": {"code": 0.6, "manuals": 0.4},
        "trajectory_mean": {"code": 0.55, "manuals": 0.45},
        "last": {"code": 0.61, "manuals": 0.39},
        "natural": {"code": 0.7, "manuals": 0.3},
        "verdict": result_record().verdict.model_dump(),
        "by_seed": [{"code": 0.55, "manuals": 0.45}, {"code": 0.65, "manuals": 0.35}],
        "interval": {"code": [0.0, 1.0], "manuals": [0.0, 0.9]},
        "document_shares": None,
        "target_tokens": None,
        "epochs": None,
        "maximum_epochs": {},
        "unconstrained": {"code": 0.7, "manuals": 0.3},
    }
    tag = {"If-None-Match": mixture.headers["ETag"]}
    assert api.client.get(shown["links"]["mixture"], headers=tag).status_code == 304


def test_a_result_of_a_release_without_seeds_is_still_shown(api: Api) -> None:
    job = api.create()
    lease = hold_job(api.context.sessions, job["id"])
    with unit_of_work(api.context.sessions) as work:
        leases.finish_succeeded(work.session, lease, result_record())
        for name in ("alpha_by_seed", "interval", "unconstrained"):
            path = f"{{mixture,{name}}}"
            work.session.execute(text("update jobs set result = result #- :path"), {"path": path})
    mixture = api.client.get(f"/v1/jobs/{job['id']}/mixture").json()
    assert mixture["shares"] == {"code": 0.6, "manuals": 0.4}
    assert (mixture["by_seed"], mixture["interval"], mixture["unconstrained"]) == ([], None, None)


def test_a_job_that_failed_shows_its_error(api: Api) -> None:
    job = api.create()
    lease = hold_job(api.context.sessions, job["id"])
    error = ErrorRecord(code="diverged", message="no", retryable=False, hint="lower the rate")
    with unit_of_work(api.context.sessions) as work:
        leases.finish_failed(work.session, lease, error)
    shown = api.client.get(f"/v1/jobs/{job['id']}").json()
    assert shown["state"] == "failed"
    assert shown["error"] == error.model_dump(exclude={"type"})


def test_pages_list_every_job_once_newest_first(api: Api) -> None:
    created = [api.create()["id"] for _ in range(5)]
    seen: list[str] = []
    token = None
    while True:
        query = {"limit": "2"} | ({"page_token": token} if token else {})
        page = api.client.get("/v1/jobs", params=query).json()
        seen += [job["id"] for job in page["data"]]
        if len(seen) == 2:
            api.create()  # a new job must not shift the pages after it
        token = page["next_page_token"]
        if token is None:
            break
    assert seen == created[::-1]


def test_a_list_can_be_narrowed_to_a_state(api: Api) -> None:
    first, second = api.create(), api.create()
    hold_job(api.context.sessions, first["id"])
    for state, expected in [("running", [first["id"]]), ("queued", [second["id"]])]:
        page = api.client.get("/v1/jobs", params={"state": state}).json()
        assert [job["id"] for job in page["data"]] == expected


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"limit": "0"}, 422, "validation_failed"),
        ({"limit": "x"}, 422, "validation_failed"),
        ({"state": "asleep"}, 422, "validation_failed"),
        ({"page_token": "!"}, 400, "invalid_cursor"),
        ({"page_token": "W10"}, 400, "invalid_cursor"),
    ],
)
def test_a_wrong_query_is_a_problem(
    api: Api, query: dict[str, str], status: int, code: str
) -> None:
    answer = api.client.get("/v1/jobs", params=query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if status == 422:
        assert answer.json()["errors"][0]["pointer"] == f"query:{next(iter(query))}"


def test_a_limit_that_is_too_large_is_lowered(api: Api) -> None:
    assert api.client.get("/v1/jobs", params={"limit": "100000"}).status_code == 200


def test_a_queued_job_is_cancelled_at_once_and_twice_is_the_same(api: Api) -> None:
    job = api.create()
    first = api.client.post(job["links"]["cancel"])
    assert (first.status_code, first.json()["state"]) == (202, "cancelled")
    assert first.json()["finished_at"] is not None
    second = api.client.post(job["links"]["cancel"])
    assert (second.status_code, second.json()) == (200, first.json())


@pytest.mark.parametrize("running", [False, True])
def test_a_held_job_is_cancelled_by_its_worker(api: Api, *, running: bool) -> None:
    job = api.create()
    with unit_of_work(api.context.sessions) as work:
        claim = leases.claim(work.session, job["id"], "worker-a")
        assert claim is not None
        if running:
            leases.mark_running(work.session, claim.lease, "learning")
    for _ in range(2):
        answer = api.client.post(job["links"]["cancel"])
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelling")
    with unit_of_work(api.context.sessions) as work:
        assert leases.renew(work.session, claim.lease) == "cancel"
        leases.finish_cancelled(work.session, claim.lease)
    assert api.client.get(job["links"]["self"]).json()["state"] == "cancelled"


def test_a_job_that_is_over_cannot_be_cancelled(api: Api) -> None:
    job = api.create()
    lease = hold_job(api.context.sessions, job["id"])
    with unit_of_work(api.context.sessions) as work:
        leases.finish_succeeded(work.session, lease, result_record())
    answer = api.client.post(job["links"]["cancel"])
    assert (answer.status_code, answer.json()["code"]) == (409, "invalid_state")


def test_every_change_of_state_is_an_event_and_events_are_paged(api: Api) -> None:
    job = api.create()
    lease = hold_job(api.context.sessions, job["id"])
    with unit_of_work(api.context.sessions) as work:
        leases.record_event(work.session, lease, "checkpoint", {"episode": 5})
        leases.finish_succeeded(work.session, lease, result_record())
    events = api.client.get(job["links"]["events"]).json()
    assert [event["seq"] for event in events["data"]] == list(range(1, 7))
    states = [event["data"]["to"] for event in events["data"] if event["type"] == "state"]
    assert states == ["queued", "starting", "running", "succeeded"]
    assert (events["last_seq"], events["has_more"]) == (6, False)

    query = {"after": 2, "limit": 3}
    page = api.client.get(job["links"]["events"], params=query).json()
    assert [event["seq"] for event in page["data"]] == [3, 4, 5]
    assert (page["last_seq"], page["has_more"]) == (5, True)
