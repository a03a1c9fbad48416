"""Every route against a stranger: the routes come from the OpenAPI document, so none is missed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api import Api

from service.app import create_app
from service.auth.create_key import create_key
from service.settings import Settings

PUBLIC = {"GET /healthz", "GET /readyz"}
# What a path's parameter names; a route with another one has to be added here.
OWNED = ("job_id", "comparison_id", "prefix")
PLAIN = {"name": "domains.parquet", "format": "json"}


def _operations() -> list[tuple[str, str]]:
    settings = Settings(database_url="postgresql://x/x", redis_url="redis://x", data_dir=Path("x"))
    document = create_app(settings).openapi()
    return [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if f"{method.upper()} {path}" not in PUBLIC
    ]


OPERATIONS = _operations()
OF_AN_OBJECT = [(method, path) for method, path in OPERATIONS if "{" in path]


@pytest.fixture
def objects(api: Api) -> dict[str, str]:
    """Ids of one tenant's job, comparison and key."""
    job = api.create()
    spec = {
        "base": api.spec(),
        "entries": [{"method": {"kind": kind}} for kind in ("uniform", "natural")],
    }
    comparison = api.client.post("/v1/comparisons", json={"spec": spec})
    assert comparison.status_code == 201, comparison.text
    key = api.client.get("/v1/api-keys").json()["data"][0]
    return {"job_id": job["id"], "comparison_id": comparison.json()["id"], "prefix": key["prefix"]}


@pytest.fixture
def stranger(api: Api) -> dict[str, str]:
    key = create_key(api.context.sessions, name="x", tenant="two", pepper="test-pepper")
    return {"Authorization": f"Bearer {key}"}


def _filled(path: str, objects: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1].split(":")[0]
        return (objects | PLAIN)[name]

    return re.sub(r"\{([^}]+)\}", value, path)


def test_the_document_names_no_object_that_is_not_tried_here() -> None:
    names = {
        name.split(":")[0] for _, path in OPERATIONS for name in re.findall(r"\{([^}]+)\}", path)
    }
    assert names <= {*OWNED, *PLAIN}
    for _, path in OF_AN_OBJECT:
        assert any(f"{{{name}}}" in path for name in OWNED), path


@pytest.mark.parametrize(("method", "path"), OF_AN_OBJECT, ids=[" ".join(o) for o in OF_AN_OBJECT])
def test_a_stranger_is_told_that_there_is_nothing(
    api: Api, objects: dict[str, str], stranger: dict[str, str], method: str, path: str
) -> None:
    body = {} if method in {"POST", "PUT", "PATCH"} else None
    answer = api.client.request(method, _filled(path, objects), json=body, headers=stranger)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    # The same as of something that nobody has, but for the id that was asked for.
    nobody = {name: value[:-1] + "x" for name, value in objects.items()}
    missing = api.client.request(method, _filled(path, nobody), json=body, headers=stranger)
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    for field in ("title", "errors", "type"):
        assert missing.json().get(field) == answer.json().get(field)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[" ".join(o) for o in OPERATIONS])
def test_nothing_but_health_is_told_to_someone_without_a_key(
    api: Api, objects: dict[str, str], method: str, path: str
) -> None:
    body = {} if method in {"POST", "PUT", "PATCH"} else None
    for header in ("", "Bearer tnd_000000000000_" + "0" * 64):
        headers = {"Authorization": header}
        answer = api.client.request(method, _filled(path, objects), json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def _lists() -> Iterator[str]:
    for method, path in OPERATIONS:
        if method == "GET" and "{" not in path:
            yield path


@pytest.mark.parametrize("path", list(_lists()))
def test_no_list_shows_a_stranger_anything(
    api: Api, objects: dict[str, str], stranger: dict[str, str], path: str
) -> None:
    answer = api.client.get(path, headers=stranger)
    assert answer.status_code == 200
    for value in objects.values():
        assert value not in answer.text
