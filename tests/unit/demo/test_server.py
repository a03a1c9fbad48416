import os
import signal
import sys
from pathlib import Path

import pytest

from demo import server
from demo.server import ServiceError, service

URL = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _no_service_of_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TANDEM_URL", "TANDEM_API_KEY", "TANDEM_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def leave_connection(data: Path) -> None:
    data.mkdir(exist_ok=True)
    (data / "url").write_text(URL + "\n", encoding="utf-8")
    (data / "api_key").write_text("tnd_a_b\n", encoding="utf-8")


def stand_in(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(server, "TANDEM", (sys.executable, "-c", program))


def test_a_service_that_runs_on_the_folder_is_used_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_connection(tmp_path)
    monkeypatch.setattr(server, "answers", lambda url: url == URL)
    stand_in(monkeypatch, "raise SystemExit('started a second one')")
    with service(tmp_path, tmp_path / "log", report=lambda _: None) as connection:
        assert (connection.url, connection.api_key) == (URL, "tnd_a_b")
    assert not (tmp_path / "log").exists()


def test_an_address_of_the_users_own_that_is_silent_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_URL", URL)
    monkeypatch.setenv("TANDEM_API_KEY", "tnd_a_b")
    monkeypatch.setattr(server, "answers", lambda _: False)
    with (
        pytest.raises(ServiceError, match=r"TANDEM_URL is http://127\.0\.0\.1:1"),
        service(tmp_path, tmp_path / "log"),
    ):
        pytest.fail("gave a connection")


def test_a_service_that_does_not_start_shows_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "answers", lambda _: False)
    stand_in(monkeypatch, "print('the disk is full'); raise SystemExit(3)")
    with (
        pytest.raises(ServiceError, match=r"exit code 3.*\n.*the disk is full"),
        service(tmp_path, tmp_path / "log"),
    ):
        pytest.fail("gave a connection")


def test_a_service_that_was_started_is_stopped_with_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The stand-in takes a moment to install its handler: it is ready once the file is there.
    program = (
        "import pathlib, signal, sys, time\n"
        f"ready, ended = pathlib.Path({str(tmp_path / 'ready')!r}), "
        f"pathlib.Path({str(tmp_path / 'ended')!r})\n"
        "def end(number, frame):\n"
        "    ended.write_text(str(int(number)))\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGINT, end)\n"
        "ready.write_text('')\n"
        "time.sleep(60)\n"
    )
    leave_connection(tmp_path)
    monkeypatch.setattr(server, "answers", lambda _: (tmp_path / "ready").exists())
    stand_in(monkeypatch, program)
    with service(tmp_path, tmp_path / "log") as connection:
        assert connection.url == URL
        assert not (tmp_path / "ended").exists()
    assert (tmp_path / "ended").read_text() == str(int(signal.SIGINT))
    assert os.environ.get("TANDEM_URL") is None
