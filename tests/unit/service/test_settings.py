"""Settings from the environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings, read_settings

REQUIRED = {
    "TANDEM_DATABASE_URL": "postgresql+psycopg://db/tandem",
    "TANDEM_REDIS_URL": "redis://queue/0",
    "TANDEM_DATA_DIR": "/data",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TANDEM_{name.upper()}", raising=False)
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_LEASE_SECONDS", "90")
    settings = read_settings()
    assert settings.database_url == REQUIRED["TANDEM_DATABASE_URL"]
    assert (settings.lease_seconds, settings.data_dir) == (90, Path("/data"))


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_address_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(ValidationError, match=name.removeprefix("TANDEM_").lower()):
        read_settings()


def test_roots_are_listed_like_a_path_without_links(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("TANDEM_FILE_ROOTS", f"{tmp_path}/link:/srv/data")
    assert read_settings().roots == ((tmp_path / "real").resolve(), Path("/srv/data"))


@pytest.mark.parametrize("name", ["TANDEM_OPENLINEAGE_URL", "TANDEM_WEBHOOK_URL"])
@pytest.mark.parametrize("url", ["marquez:5000", "file:///etc/passwd", "http:///path"])
def test_a_receiver_has_a_web_address(name: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(ValidationError, match="write http://host/path"):
        read_settings()


def test_no_receiver_is_told_anything_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (read_settings().openlineage_url, read_settings().webhook_url) == ("", "")
    monkeypatch.setenv("TANDEM_OPENLINEAGE_API_KEY", "very-secret")
    assert "very-secret" not in repr(read_settings())


def test_the_pepper_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_KEY_PEPPER", "very-secret")
    assert "very-secret" not in repr(read_settings())
