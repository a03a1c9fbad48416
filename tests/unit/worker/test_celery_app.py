"""The Celery application: what a message may do, and what importing it does."""

import subprocess
import sys

import pytest

from service.task_queue import QUEUE, RUN_JOB
from worker.app import app
from worker.drain import DrainFlag


@pytest.fixture
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("TANDEM_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("TANDEM_DATA_DIR", "/nowhere")


@pytest.mark.usefixtures("_environment")
def test_a_message_is_json_acknowledged_at_once_and_never_prefetched() -> None:
    app.loader.import_default_modules()
    assert RUN_JOB in app.tasks
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_default_queue == QUEUE
    assert app.conf.task_acks_late is False
    assert app.conf.worker_disable_prefetch is True
    assert app.conf.result_backend is None


def test_importing_the_worker_reads_no_settings_and_no_torch() -> None:
    code = (
        "import worker.tasks, worker.app, sys; "
        "sys.exit(bool({'torch', 'transformers', 'fastapi'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, env={}).returncode == 0


def test_a_drain_flag_is_unset_until_the_main_process_sets_it() -> None:
    flag = DrainFlag()
    flag.set()  # nothing to share it with yet
    assert not flag.is_set()
    flag.share()
    assert not flag.is_set()
    flag.set()
    assert flag.is_set()
