"""docs/events.md shows events as they are sent and names every type, facet and setting."""

import json
import re
from pathlib import Path
from typing import Any

from support.occurrences import PRODUCER, exported, failed, state_event, succeeded

from service.jobs.lifecycle import JobState
from service.notifications.cloud_events import cloud_events
from service.notifications.lineage import run_events
from service.settings import Settings

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)


def block(info: str) -> Any:
    """Return the page's fenced JSON with this info string."""
    found = re.search(rf"^```json {info}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found, info
    return json.loads(found[1])


def test_the_cloud_event_of_the_page_is_a_real_one() -> None:
    assert block("cloudevent") == cloud_events(succeeded())[-1]


def test_the_run_event_of_the_page_is_a_real_one() -> None:
    assert [block("runevent")] == list(run_events(succeeded(), PRODUCER))


def test_every_type_of_event_and_every_field_is_named() -> None:
    events = [event for make in (succeeded, failed, exported) for event in cloud_events(make())]
    for event in events:
        assert event["type"] in PROSE
        assert [name for name in event["data"] if f"`{name}`" not in PROSE] == []
    for state in JobState:
        assert f"`tandem.job.{state}`" in PROSE or f"`.{state}`" in PROSE


def test_every_facet_of_ours_is_named() -> None:
    occurrences = [succeeded(), failed(), exported(), state_event("queued", "starting")]
    events = [event for one in occurrences for event in run_events(one, PRODUCER)]
    names = set(re.findall(r'"(tandem_\w+)": \{', json.dumps(events)))
    assert len(names) == 4
    assert {name for name in names if f"| `{name}` |" not in PROSE} == set()


def test_the_settings_of_the_page_exist() -> None:
    named = {name.lower() for name in re.findall(r"TANDEM_([A-Z_]+)", PROSE)}
    assert named <= Settings.model_fields.keys()
    assert {"webhook_url", "openlineage_url", "openlineage_api_key"} <= named
