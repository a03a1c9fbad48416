"""What must start light starts light: checked in a fresh process, not by reading imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "tokenizers", "numpy", "pyarrow")
LIGHT_MODULES = (
    "tandem_engine",
    "tandem_engine.contracts.base",
    "tandem_engine.contracts.records",
    "tandem_engine.contracts.spec",
    "tandem_engine.errors",
    "tandem_engine.presets",
)


def loaded_after(statement: str, suspects: tuple[str, ...]) -> list[str]:
    """Return which of `suspects` a fresh interpreter has loaded after `statement`."""
    program = f"{statement}\nimport sys\nprint(*(m for m in {suspects!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "default"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_probe_sees_a_module_that_is_loaded() -> None:
    assert loaded_after("import json", ("json", "numpy")) == ["json"]


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_contracts_errors_and_presets_load_nothing_heavy(module: str) -> None:
    assert loaded_after(f"import {module}", HEAVY) == []


def test_the_service_loads_no_torch_and_no_transformers() -> None:
    assert loaded_after("import service.app", ("torch", "transformers", "worker")) == []


def test_the_client_loads_no_torch_and_no_service() -> None:
    suspects = ("torch", "transformers", "service", "worker", "celery", "sqlalchemy")
    assert loaded_after("import client.cli", suspects) == []


def test_the_workers_own_process_loads_no_torch() -> None:
    assert loaded_after("import worker.app", ("torch", "transformers", "fastapi")) == []
