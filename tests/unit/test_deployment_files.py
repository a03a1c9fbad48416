"""What can be checked of the deployment without a Docker engine."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LONG_RUNNING = ("postgres", "valkey", "api", "worker", "worker-cpu")
VARIABLE = re.compile(r"\$?\$\{([A-Z_]+)(:[-?][^}]*)?\}")


def stage(name: str) -> str:
    """Return the instructions of one stage of the Dockerfile."""
    found = re.search(
        rf"^FROM \S+ AS {name}$(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL
    )
    assert found, name
    return found[1]


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = COMPOSE["services"][name]
    return found


def test_compose_has_all_services() -> None:
    assert set(COMPOSE["services"]) == {*LONG_RUNNING, "migrate"}


def test_every_named_volume_is_declared_and_every_declared_one_is_used() -> None:
    used = {
        mount.split(":")[0]
        for entry in COMPOSE["services"].values()
        for mount in entry.get("volumes", [])
        if not mount.startswith(("$", ".", "/"))
    }
    assert used == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_long_running_services_restart_and_get_time_to_stop(name: str) -> None:
    assert service(name)["restart"] == "unless-stopped"
    assert re.fullmatch(r"\d+s", service(name)["stop_grace_period"])


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_servers_have_health_checks_in_compose(name: str) -> None:
    assert service(name)["healthcheck"]["test"][0] == "CMD-SHELL"


@pytest.mark.parametrize("name", ["api", "worker"])
def test_own_images_have_health_checks_and_no_root(name: str) -> None:
    assert "HEALTHCHECK" in stage(name)
    assert re.search(r"^USER 10001:10001$", stage(name), re.MULTILINE)


def test_nothing_starts_before_the_migrations_are_done() -> None:
    for name in ("api", "worker", "worker-cpu"):
        condition = service(name)["depends_on"]["migrate"]["condition"]
        assert condition == "service_completed_successfully"


def test_the_queue_survives_a_restart_and_never_evicts() -> None:
    command = " ".join(service("valkey")["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert "--requirepass" in command


def test_the_gpu_is_reserved_for_the_default_worker_only() -> None:
    device = service("worker")["deploy"]["resources"]["reservations"]["devices"][0]
    assert device["capabilities"] == ["gpu"]
    assert "deploy" not in service("worker-cpu")
    assert service("worker-cpu")["profiles"] == ["cpu"]


def test_the_api_image_installs_no_torch() -> None:
    installed = re.findall(r'pip install [^\n]*"\.\[([\w,]+)\]"', stage("build-api"))
    assert installed == ["remote,service"]
    assert "COPY --from=build-api" in stage("api")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    requirements = project["dependencies"] + extras["service"] + extras["remote"]
    assert not [line for line in requirements if line.startswith(("torch", "transformers"))]
    assert not [line for line in requirements if line.startswith("tandem-mix")]


def test_the_worker_image_installs_torch_under_the_constraint() -> None:
    assert re.search(r'--constraint constraints.txt "\.\[worker\]"', stage("build-worker"))


def test_every_copied_path_exists_and_passes_the_ignore_file() -> None:
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    for arguments in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in arguments.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source in allowed, source


def test_every_tandem_variable_is_a_setting() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    settings = {f"TANDEM_{name.upper()}" for name in Settings.model_fields}
    for name in ("api", "worker", "migrate"):
        assert set(service(name)["environment"]) <= settings
    required = {
        f"TANDEM_{name.upper()}"
        for name, field in Settings.model_fields.items()
        if field.is_required()
    }
    assert required <= set(service("api")["environment"])
    assert "TANDEM_DATABASE_URL" in text


def test_the_example_environment_names_every_variable_that_compose_reads() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    read = {match[1] for match in VARIABLE.finditer(text)}
    offered = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert read == offered


def test_secrets_have_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for secret in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "TANDEM_KEY_PEPPER"):
        uses = [match[2] for match in VARIABLE.finditer(text) if match[1] == secret]
        assert uses
        assert all(use.startswith(":?") for use in uses)
