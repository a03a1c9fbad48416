"""Keys: scopes, ends, rotation, and what the audit log keeps."""

from typing import Any

import pytest
from sqlalchemy import select, text
from support.api import Api

from service.auth.create_key import create_key
from service.auth.models import ApiKey
from service.db.session import unit_of_work

PEPPER = "test-pepper"


def make(api: Api, **body: Any) -> dict[str, Any]:
    answer = api.client.post("/v1/api-keys", json={"name": "new"} | body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def bearer(key: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


def test_a_key_is_shown_once_and_works(api: Api) -> None:
    answer = api.client.post("/v1/api-keys", json={"name": "new"})
    assert answer.headers["Cache-Control"] == "no-store"
    made = answer.json()
    assert made["scopes"] == ["read", "write"]
    assert api.client.get("/v1/jobs", headers=bearer(made)).status_code == 200
    listed = api.client.get("/v1/api-keys").text
    assert made["prefix"] in listed
    assert made["key"] not in listed
    assert made["key"].rsplit("_", 1)[1] not in listed
    with unit_of_work(api.context.sessions) as work:
        (row,) = work.session.scalars(select(ApiKey).where(ApiKey.prefix == made["prefix"]))
        assert made["key"].encode() not in row.key_hash


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (["read"], {"GET /v1/jobs"}),
        (["write"], {"POST /v1/jobs"}),
        (["admin"], {"GET /v1/api-keys", "GET /v1/audit-events"}),
        (["read", "write"], {"GET /v1/jobs", "POST /v1/jobs"}),
    ],
)
def test_a_key_does_what_its_scopes_say_and_no_more(
    api: Api, scopes: list[str], allowed: set[str]
) -> None:
    key = make(api, scopes=scopes)
    for request in ("GET /v1/jobs", "POST /v1/jobs", "GET /v1/api-keys", "GET /v1/audit-events"):
        method, path = request.split()
        body = {"spec": api.spec()} if method == "POST" else None
        answer = api.client.request(method, path, json=body, headers=bearer(key))
        if request in allowed:
            assert answer.is_success, answer.text
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_an_expired_key_is_no_key(api: Api) -> None:
    key = make(api, expires_in_days=1)
    assert api.client.get("/v1/jobs", headers=bearer(key)).status_code == 200
    with unit_of_work(api.context.sessions) as work:
        work.session.execute(
            text("update api_keys set expires_at = now() - interval '1 s' where prefix = :prefix"),
            {"prefix": key["prefix"]},
        )
    assert api.client.get("/v1/jobs", headers=bearer(key)).status_code == 401


def test_a_revoked_key_is_no_key_and_twice_is_the_same(api: Api) -> None:
    key = make(api)
    path = f"/v1/api-keys/{key['prefix']}"
    assert [api.client.delete(path).status_code for _ in range(2)] == [204, 204]
    assert api.client.get("/v1/jobs", headers=bearer(key)).status_code == 401
    rotated = api.client.post(f"{path}/rotate", json={})
    assert (rotated.status_code, rotated.json()["code"]) == (409, "invalid_state")


def test_a_rotated_key_has_a_time_of_grace_and_its_successor_the_same_rights(api: Api) -> None:
    old = make(api, scopes=["read"])
    answer = api.client.post(f"/v1/api-keys/{old['prefix']}/rotate", json={"grace_seconds": 600})
    assert answer.status_code == 201, answer.text
    new = answer.json()
    assert (new["name"], new["scopes"]) == (old["name"], ["read"])
    assert new["key"] != old["key"]
    for key in (old, new):
        assert api.client.get("/v1/jobs", headers=bearer(key)).status_code == 200
    at_once = api.client.post(f"/v1/api-keys/{new['prefix']}/rotate", json={"grace_seconds": 0})
    assert at_once.status_code == 201
    assert api.client.get("/v1/jobs", headers=bearer(new)).status_code == 401


def test_the_last_administrator_cannot_lock_everybody_out(api: Api) -> None:
    (own,) = api.client.get("/v1/api-keys").json()["data"]
    refused = api.client.delete(f"/v1/api-keys/{own['prefix']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_state")
    make(api, scopes=["admin"])
    assert api.client.delete(f"/v1/api-keys/{own['prefix']}").status_code == 204


def test_another_tenants_key_is_not_found(api: Api) -> None:
    stranger = create_key(api.context.sessions, name="x", tenant="two", pepper=PEPPER)
    prefix = stranger.split("_")[1]
    assert prefix not in api.client.get("/v1/api-keys").text
    assert api.client.delete(f"/v1/api-keys/{prefix}").status_code == 404
    assert api.client.post(f"/v1/api-keys/{prefix}/rotate", json={}).status_code == 404
    headers = {"Authorization": f"Bearer {stranger}"}
    assert api.client.get("/v1/jobs", headers=headers).status_code == 200


def test_the_audit_log_keeps_who_did_what_without_secrets(api: Api) -> None:
    key = make(api, scopes=["read"])
    api.client.post(f"/v1/api-keys/{key['prefix']}/rotate", json={})
    api.client.delete(f"/v1/api-keys/{key['prefix']}")
    page = api.client.get("/v1/audit-events?limit=2").json()
    assert page["has_more"]
    rest = api.client.get(f"/v1/audit-events?after={page['last_id']}").json()
    events = [*page["data"], *rest["data"]]
    assert [event["action"] for event in events] == [
        "api_key.created",  # the operator's, of the fixture
        "api_key.created",
        "api_key.created",
        "api_key.rotated",
        "api_key.revoked",
    ]
    own = events[0]["target"]
    assert events[0]["actor"] == "operator"
    assert {event["actor"] for event in events[1:]} == {own}
    assert key["key"] not in str(events)


def test_the_last_use_of_a_key_is_kept_to_the_minute(api: Api) -> None:
    key = make(api)
    shown = {one["prefix"]: one for one in api.client.get("/v1/api-keys").json()["data"]}
    assert shown[key["prefix"]]["last_used_at"] is None
    times = set()
    for _ in range(3):
        api.client.get("/v1/jobs", headers=bearer(key))
        shown = {one["prefix"]: one for one in api.client.get("/v1/api-keys").json()["data"]}
        times.add(shown[key["prefix"]]["last_used_at"])
    assert len(times) == 1
    assert None not in times
