"""The method in docs/adding-a-method.md does what the document says."""

import re
from pathlib import Path

import pytest
from support.tiny_jobs import Recorder, tiny_spec

from tandem_engine.errors import StopRequestedError
from tandem_engine.job import run_job
from tandem_engine.methods import registry

DOCUMENT = Path(__file__).parents[4] / "docs" / "adding-a-method.md"
IMPORTS = """
from typing import Any
from tandem_engine.loop import Episode
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.methods.proxy import Proxy
from tandem_engine.twins import Twin
"""


def test_the_example_learns_and_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, type] = {}
    exec(IMPORTS + block, names)  # noqa: S102 - our own document
    # The settings of another method stand in for those of the new one.
    kinds = dict(registry.METHODS) | {"scalebio": names["LossShare"]}
    monkeypatch.setattr(registry, "METHODS", kinds)
    spec = tiny_spec(tmp_path / "data", method={"kind": "scalebio"}, evaluation={"enabled": False})
    straight = Recorder()
    result = run_job(spec, tmp_path / "straight", emit=straight)
    losses = straight.points[-1].delta
    shares = [loss / sum(losses) for loss in losses]
    assert straight.points[-1].alpha == pytest.approx(shares)
    assert sum(result.mixture.alpha) == pytest.approx(1.0)
    stopped = Recorder(stop_after_checkpoints=1)
    with pytest.raises(StopRequestedError):
        run_job(spec, tmp_path / "again", emit=stopped, stop=stopped.stop)
    resumed = Recorder()
    run_job(spec, tmp_path / "again", emit=resumed, attempt=2)
    assert resumed.points == straight.points
