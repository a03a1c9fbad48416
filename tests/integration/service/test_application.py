"""The application as a whole: health, discovery, outages, crashes, the process."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text
from support.api import Api

from service.app import create_app
from service.settings import Settings


def test_a_healthy_service_says_so_without_a_key(api: Api) -> None:
    with TestClient(api.client.app) as stranger:
        assert stranger.get("/healthz").json() == {"status": "ok"}
        ready = stranger.get("/readyz")
    assert ready.status_code == 200
    expected = {"status": "ok", "database": "ok", "migrations": "ok", "redis": "ok"}
    assert ready.json() == expected


def test_a_database_without_tables_is_not_ready(
    settings: Settings, empty_database_url: str
) -> None:
    empty = settings.model_copy(update={"database_url": empty_database_url})
    with TestClient(create_app(empty)) as client:
        ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["migrations"]) == (503, "pending")


def test_a_database_that_is_away_is_a_problem_that_may_pass(settings: Settings) -> None:
    away = settings.model_copy(
        update={"database_url": "postgresql+psycopg://postgres@127.0.0.1:1/none"}
    )
    key = "tnd_" + "0" * 12 + "_" + "0" * 64
    with TestClient(create_app(away), headers={"Authorization": f"Bearer {key}"}) as client:
        ready = client.get("/readyz")
        answer = client.get("/v1/jobs")
    assert (ready.status_code, ready.json()["database"]) == (503, "unavailable")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_connections_that_the_database_cut_are_replaced(api: Api) -> None:
    assert api.client.get("/v1/jobs").status_code == 200
    cut = """select count(pg_terminate_backend(pid)) from pg_stat_activity
        where application_name = 'tandem-service' and datname = current_database()
        and pid <> pg_backend_pid()"""
    other = create_engine(api.context.settings.database_url)
    with other.connect() as connection:
        assert connection.execute(text(cut)).scalar_one() >= 1
    other.dispose()
    assert api.client.get("/v1/jobs").status_code == 200


def test_presets_are_listed_with_what_they_set(api: Api) -> None:
    presets = {preset["name"]: preset for preset in api.client.get("/v1/presets").json()["data"]}
    tiny = presets["tiny-restricted"]
    assert tiny["default_of"] == ["data_restricted"]
    assert tiny["settings"]["learning"]["probing_steps"] == 20
    assert tiny["description"]
    assert api.client.get("/v1/version").json()["api"] == "v1"


@pytest.mark.parametrize("path", ["/v1/presets", "/v1/version"])
def test_discovery_needs_a_key(api: Api, path: str) -> None:
    assert api.client.get(path, headers={"Authorization": ""}).status_code == 401


def test_an_unknown_path_and_a_wrong_method_are_problems(api: Api) -> None:
    for method, path, status, code in [
        ("GET", "/v2/jobs", 404, "not_found"),
        ("DELETE", "/v1/jobs", 405, "method_not_allowed"),
    ]:
        answer = api.client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_crash_is_a_problem_without_details(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("service.jobs.endpoints.list_jobs", crash)
    answer = api.client.get("/v1/jobs", headers={"X-Request-ID": "mine-1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"] == "mine-1"
    assert "secret" not in answer.text


@pytest.mark.parametrize("given", ["a b", "x" * 129, "é".encode().decode("latin-1")])
def test_a_request_id_that_could_forge_a_log_line_is_replaced(api: Api, given: str) -> None:
    headers = {"X-Request-ID": given.encode("latin-1")}
    answer = api.client.get("/healthz", headers=headers)  # type: ignore[arg-type]
    assert answer.headers["X-Request-ID"].startswith("req_")


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "TANDEM_DATABASE_URL": settings.database_url,
        "TANDEM_REDIS_URL": settings.redis_url,
        "TANDEM_DATA_DIR": str(settings.data_dir),
    }


@contextmanager
def _served(command: list[str], settings: Settings, folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=folder,
        env=_environment(settings),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "Uvicorn running" in line:
                    break
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.communicate(timeout=30)[1]
    assert process.returncode in {0, -signal.SIGTERM}, rest
    for line in rest.splitlines():
        json.loads(line)  # the log is one JSON object per line


WITHOUT_TORCH = """
import importlib.abc, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "transformers", "tokenizers"}:
            raise ImportError(name + " is not installed here")
sys.meta_path.insert(0, Blocker())
from service.main import main
main(sys.argv[1:])
"""


def test_the_service_serves_without_torch_and_a_key_made_by_its_command_works(
    settings: Settings, tmp_path: Path
) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "service.auth.create_key", "--name", "local"],
        cwd=tmp_path,
        env=_environment(settings),
        check=True,
        capture_output=True,
        text=True,
    )
    key = made.stdout.strip()
    with (
        _served([sys.executable, "-c", WITHOUT_TORCH], settings, tmp_path) as base,
        urllib.request.urlopen(
            urllib.request.Request(f"{base}/v1/jobs", headers={"Authorization": f"Bearer {key}"})
        ) as answer,
    ):
        assert json.load(answer)["data"] == []


def test_a_parameter_that_an_endpoint_does_not_have_is_a_mistake_and_not_ignored(api: Api) -> None:
    answer = api.client.get("/v1/jobs?stat=running&limit=5")
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert (problem["pointer"], problem["value"]) == ("query:stat", "running")
    assert problem["hint"] == "did you mean state?"
    assert api.client.get("/healthz?probe=1").status_code == 200
