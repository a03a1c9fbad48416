"""Spills: what is dealt to parts comes back in the order of its keys."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.materialise.spills import (
    PartReadings,
    SpillWriter,
    domain_state,
    key_of,
    part_of,
)

keys = st.integers(0, 2**64 - 1)


def read(folder: Path, part: int) -> list[bytes]:
    readings = PartReadings(folder, part)
    found = list(readings)
    assert [len(content) for content in found] == readings.sizes.tolist()
    assert len(readings) == len(found)
    readings.close()
    return found


@given(
    readings=st.lists(st.lists(st.tuples(keys, st.binary(max_size=9)), max_size=12), max_size=3),
    parts=st.integers(1, 5),
    buffer=st.integers(1, 200),
)
def test_parts_together_hold_all_readings_by_key(
    tmp_path_factory: pytest.TempPathFactory,
    readings: list[list[tuple[int, bytes]]],
    parts: int,
    buffer: int,
) -> None:
    folder = tmp_path_factory.mktemp("spills")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tandem_engine.materialise.spills.BUFFER_BYTES", buffer)
        for task, own in enumerate(readings):
            spill = SpillWriter(folder, task, parts)
            for key, content in own:
                spill.add(key, content)
            spill.close()
    # Stable: equal keys stay in the order of tasks.
    expected = sorted((one for own in readings for one in own), key=lambda one: one[0])
    found = [content for part in range(parts) for content in read(folder, part)]
    assert found == [content for _, content in expected]


def test_a_part_of_nothing_is_empty(tmp_path: Path) -> None:
    spill = SpillWriter(tmp_path, 0, 2)
    spill.add(0, b"low")
    spill.close()
    assert read(tmp_path, 0) == [b"low"]
    assert read(tmp_path, 1) == []


def test_files_are_as_many_as_tasks_however_many_parts(tmp_path: Path) -> None:
    for task in range(3):
        spill = SpillWriter(tmp_path, task, 1000)
        for record in range(200):
            spill.add(key_of(1, record, 0), b"x")
        spill.close()
    assert len(list(tmp_path.iterdir())) == 2 * 3


def test_keys_differ_by_seed_domain_record_and_repetition() -> None:
    found = {
        key_of(domain_state(seed, domain), record, repetition)
        for seed in range(3)
        for domain in ("a", "b")
        for record in range(50)
        for repetition in range(3)
    }
    assert len(found) == 3 * 2 * 50 * 3


@given(keys, st.integers(1, 1000))
def test_parts_are_equal_ranges_of_keys(key: int, parts: int) -> None:
    assert 0 <= part_of(key, parts) < parts
    assert part_of(0, parts) == 0
    assert part_of(2**64 - 1, parts) == parts - 1
