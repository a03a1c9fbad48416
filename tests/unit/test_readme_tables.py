"""What the README states in tables is what the code says."""

import json
import re
from pathlib import Path

import pytest

from service.settings import Settings
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.exports.registry import EXPORTERS
from tandem_engine.manifests.permutation import permute_reference
from tandem_engine.presets import PRESETS, resolve

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(info: str) -> str:
    """Return the fenced block with this info string."""
    found = re.search(rf"^```{re.escape(info)}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found, info
    return found[1]


def settings_table() -> dict[str, tuple[str, str]]:
    """Return default and unit per variable, as the README has them."""
    rows = re.findall(r"^\| `(TANDEM_\w+)` \|(.*?)\|(.*?)\|.+\|$", README, re.MULTILINE)
    return {name: (default.strip(" `"), unit.strip()) for name, default, unit in rows}


def test_every_setting_stands_in_the_table_and_no_other() -> None:
    assert set(settings_table()) == {f"TANDEM_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_the_defaults_in_the_table_are_the_defaults(name: str) -> None:
    default, unit = settings_table()[f"TANDEM_{name.upper()}"]
    field = Settings.model_fields[name]
    assert (default == "required") == field.is_required()
    if name == "key_pepper":
        assert default == "empty"
        assert field.default.get_secret_value() == ""
    elif isinstance(field.default, int | float):
        assert float(default) == field.default
        assert unit
    elif isinstance(field.default, str):
        assert default == field.default
    assert (unit == "s") == name.endswith("_seconds")


def test_the_example_specification_is_valid() -> None:
    resolved = resolve(JobSpec.model_validate(json.loads(block("json spec"))))
    assert resolved.domain_names == ["code", "manuals"]


def test_the_presets_are_all_named() -> None:
    assert all(f"`{name}`" in README for name in PRESETS)


def test_every_path_of_the_tree_exists() -> None:
    folder = ""
    for line in block("text tree").splitlines():
        name = line.split()[0]
        folder = folder if line.startswith("  ") else name
        path = ROOT / (folder + name if line.startswith("  ") else name)
        assert path.exists(), path
        assert path.is_dir() == name.endswith("/"), path


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)", README))
    assert named <= targets
    assert targets - named <= {"up"}


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_session_reads_files_that_exist_and_names_each_once() -> None:
    files = re.findall(r'"\$HERE/([^"]+)"', block("sh curl-session"))
    assert len(files) > 10
    assert len(set(files)) == len(files)
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_the_exports_page_lists_every_format_with_its_unit() -> None:
    page = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE))
    assert rows == {name: exporter.counts for name, exporter in EXPORTERS.items()}
    assert f"shows {len(EXPORTERS)} formats" in README


def test_the_manifests_page_has_the_vectors_of_the_permutation() -> None:
    page = (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8")
    vectors = re.findall(r"^\| (\d+) \| (\w+) \| (\d+) \| ([\d ]+) \|$", page, re.MULTILINE)
    assert len(vectors) == 4
    for seed, domain, size, places in vectors:
        expected = [int(place) for place in places.split()]
        found = [
            permute_reference(index, int(size), seed=int(seed), domain=domain)
            for index in range(len(expected))
        ]
        assert found == expected


def test_the_security_page_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 15
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, row
        for file, function in named:
            source = (ROOT / file).read_text(encoding="utf-8")
            assert re.search(rf"^def {function}\(", source, re.MULTILINE), (file, function)
