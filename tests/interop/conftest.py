"""The folder that `make_data` writes: given by the environment, or made here where Tandem is."""

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest
from interop.shares import Check, Mixture, Report, distances, read_mixture, within

# None of these may be asked for anything: all data is here.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("TANDEM_INTEROP_DATA")
    if given is not None:
        return Path(given).resolve()
    pytest.importorskip("tandem_engine", reason="no Tandem here: set TANDEM_INTEROP_DATA")
    from interop.make_data import make

    folder = tmp_path_factory.mktemp("interop") / "data"
    make(folder)
    return folder


@pytest.fixture
def inside(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Paths in exports are relative to the data's folder, as a trainer's are to its own."""
    monkeypatch.chdir(data)
    return data


@pytest.fixture(scope="session")
def texts(data: Path) -> Mixture:
    return read_mixture(data, "texts")


@pytest.fixture(scope="session")
def report() -> Report:
    given = os.environ.get("TANDEM_INTEROP_REPORT")
    return Report(None if given is None else Path(given))


@pytest.fixture
def check(report: Report) -> Check:
    """Compare the shares of drawn tokens with the learned ones, and note the worst."""

    def compare(
        what: str, mixture: Mixture, drawn: Mapping[str, float], bounds: Mapping[str, float]
    ) -> None:
        compared = distances(drawn, mixture.shares, bounds)
        off, bound = max(compared.values(), key=lambda pair: pair[0] / pair[1])
        report(what, off, bound)
        assert within(drawn, mixture.shares, bounds), f"{what}: {compared}, drawn {dict(drawn)}"

    return compare


@pytest.fixture
def exported(data: Path) -> Callable[..., ModuleType]:
    """Import a Python file of an export."""

    def load(export: str, file: str) -> ModuleType:
        path = data / "exports" / export / file
        name = f"{export}_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return load
