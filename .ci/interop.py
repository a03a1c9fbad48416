"""Load exports with the trainers' own libraries, each at a pinned version: `make interop`.

Usage: python .ci/interop.py [ENVIRONMENT ...]     (standard library only; the Makefile calls it)

Versions clash, so that there is an environment per group in `.interop/NAME`, by the files
`tests/interop/requirements/NAME*.txt`. The data is made once, by Tandem in `.venv`.
"""

# ruff: noqa: INP001, T201

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "interop"
PLACE = ROOT / ".interop"
DATA = PLACE / "data"
STAMP = ".installed.json"
# Environment: test files, and the package whose version is shown.
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "megatron": {"test_megatron.py": "megatron-core"},
    "energon": {"test_energon.py": "megatron-energon"},
    "mosaic": {"test_mosaic.py": "mosaicml-streaming"},
    "olmo": {"test_olmo_core.py": "ai2-olmo-core"},
    "llama_factory": {"test_llama_factory.py": "llamafactory"},
    "common": {
        "test_datasets.py": "datasets",
        "test_trl.py": "trl",
        "test_grain.py": "grain",
        "test_litdata.py": "litdata",
        "test_torchdata.py": "torchdata",
        "test_webdataset.py": "webdataset",
        "test_mlcroissant.py": "mlcroissant",
        "test_openlineage.py": "openlineage-python",
        "test_ray.py": "ray",
    },
}


@dataclass
class Result:
    """Of one test file in one environment."""

    environment: str
    file: str
    version: str
    passed: int = 0
    wrong: list[str] = field(default_factory=list)
    """Tests that failed, or that were skipped: here every library is to be there."""
    seconds: float = 0.0
    compared: list[dict[str, object]] = field(default_factory=list)


def main() -> int:
    """Install, make data and run; return the exit code."""
    chosen = sys.argv[1:] or list(ENVIRONMENTS)
    if unknown := set(chosen) - set(ENVIRONMENTS):
        print(f"no environment {unknown}; there are {', '.join(ENVIRONMENTS)}", file=sys.stderr)
        return 2
    PLACE.mkdir(exist_ok=True)
    for name in chosen:
        if not install(name):
            return 1
    print("==> Making the data", flush=True)
    shutil.rmtree(DATA, ignore_errors=True)
    made = [str(ROOT / ".venv" / "bin" / "python"), str(TESTS / "make_data.py"), str(DATA)]
    if subprocess.run(made, check=False, cwd=ROOT).returncode != 0:
        print("the data could not be made", file=sys.stderr)
        return 1
    results = [run(name, *described) for name in chosen for described in ENVIRONMENTS[name].items()]
    show(results)
    return int(any(result.wrong for result in results))


def python_of(name: str) -> Path:
    """Return the interpreter of an environment."""
    return PLACE / name / "bin" / "python"


def install(name: str) -> bool:
    """Install an environment where its requirements are new; tell whether it is there."""
    files = sorted((TESTS / "requirements").glob(f"{name}*.txt"))
    content = b"".join(path.read_bytes() for path in files)
    wanted = {"requirements": hashlib.sha256(content).hexdigest(), "root": str(ROOT)}
    stamp = PLACE / name / STAMP
    if stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == wanted:
        return True
    print(f"==> Installing {name}", flush=True)
    started = time.monotonic()
    shutil.rmtree(PLACE / name, ignore_errors=True)
    steps: list[Sequence[str]] = [[sys.executable, "-m", "venv", str(PLACE / name)]]
    pip = [str(python_of(name)), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    given = TESTS / "requirements"
    add = [*pip, "install", "--no-compile", "--progress-bar", "off"]
    steps.append([*add, "-r", str(given / f"{name}.txt")])
    if (given / f"{name}.nodeps.txt").exists():
        steps.append([*add, "--no-deps", "-r", str(given / f"{name}.nodeps.txt")])
    if (given / f"{name}.remove.txt").exists():
        steps.append([*pip, "uninstall", "-y", "-r", str(given / f"{name}.remove.txt")])
    log = PLACE / f"{name}.log"
    with log.open("w", encoding="utf-8") as file:
        for step in steps:
            # From the root, where `-e .` is this project.
            code = subprocess.run(step, check=False, cwd=ROOT, stdout=file, stderr=file).returncode
            if code != 0:
                print(f"{' '.join(step[:4])} failed; all of its output is in {log}")
                print("\n".join(log.read_text(encoding="utf-8").splitlines()[-10:]))
                return False
    stamp.write_text(json.dumps(wanted), encoding="utf-8")
    print(f"    installed in {time.monotonic() - started:.0f} s", flush=True)
    return True


def run(name: str, file: str, package: str) -> Result:
    """Run one file of tests."""
    scratch = PLACE / "results" / name
    scratch.mkdir(parents=True, exist_ok=True)
    junit, report = scratch / f"{file}.xml", scratch / f"{file}.jsonl"
    for old in (junit, report):
        old.unlink(missing_ok=True)
    asked = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    probe = [str(python_of(name)), "-c", asked]
    found = subprocess.run(probe, check=False, capture_output=True, text=True)
    result = Result(name, file, f"{package} {found.stdout.strip()}")
    print(f"==> {result.version}", flush=True)
    command = [str(python_of(name)), "-m", "pytest", "-q", "-c", str(TESTS / "environment.ini")]
    command += [str(TESTS / file), f"--junitxml={junit}", "--tb=short", "-W", "ignore"]
    command += [f"--basetemp={PLACE / 'tmp'}"]
    environment = os.environ | {
        "TANDEM_INTEROP_DATA": str(DATA),
        "TANDEM_INTEROP_REPORT": str(report),
        "HF_HOME": str(PLACE / "huggingface"),
    }
    started = time.monotonic()
    ran = subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    result.seconds = time.monotonic() - started
    read_results(result, junit)
    if ran.returncode != 0 and not result.wrong:
        result.wrong.append(f"pytest ended with exit code {ran.returncode}")
    if result.wrong:
        print(ran.stdout + ran.stderr, flush=True)
    if report.exists():
        lines = report.read_text(encoding="utf-8").splitlines()
        result.compared = [json.loads(line) for line in lines]
    return result


def read_results(result: Result, junit: Path) -> None:
    """Count what pytest wrote."""
    if not junit.exists():
        return
    # S314: the file is pytest's, written a moment ago.
    for case in ET.parse(junit).getroot().iter("testcase"):  # noqa: S314
        bad = [kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None]
        if bad:
            result.wrong.append(f"{case.get('name')} ({bad[0]})")
        else:
            result.passed += 1
    if not result.passed and not result.wrong:
        result.wrong.append("no test ran")


def show(results: Sequence[Result]) -> None:
    """Print what was found."""
    print(f"\n{'environment':<14} {'library':<28} {'tests':>5} {'time':>6}")
    for result in results:
        verdict = "passed" if not result.wrong else f"WRONG: {'; '.join(result.wrong)}"
        print(
            f"{result.environment:<14} {result.version:<28} {result.passed:>5} "
            f"{result.seconds:>4.0f} s  {verdict}"
        )
    print(f"\n{'shares of drawn tokens':<46} {'off by':>9} {'bound':>9}")
    for result in results:
        for one in result.compared:
            print(f"{one['what']:<46} {one['off']:>9.5f} {one['bound']:>9.5f}")


if __name__ == "__main__":
    raise SystemExit(main())
