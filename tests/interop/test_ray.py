"""Ray: a corpus that a cluster writes is the one that this machine's processes write."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.materialised import bytes_of, texts_planned

from tandem_engine.errors import ManifestDamagedError
from tandem_engine.manifests.tables import slugs
from tandem_engine.materialise.executors import LocalExecutor, RayExecutor
from tandem_engine.materialise.run import MaterialiseRequest, materialise

ray = pytest.importorskip("ray")
# Ray warns of its own future defaults, and leaves sockets and files to the collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayExecutor]:
    """A cluster of this machine, with two processes."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield RayExecutor("local")
    ray.shutdown()


@pytest.mark.parametrize("output", ["jsonl", "parquet", "mds", "megatron", "tokens"])
def test_ray_writes_the_same_bytes_as_this_machine(
    tmp_path: Path, cluster: RayExecutor, output: Any
) -> None:
    manifest = texts_planned(tmp_path)
    for name, executor in {"ray": cluster, "here": LocalExecutor(1)}.items():
        materialise(MaterialiseRequest(manifest, tmp_path / name, output, parts=3), executor)
    assert bytes_of(tmp_path / "ray") == bytes_of(tmp_path / "here")


def test_an_error_of_a_task_is_ours_and_leaves_no_folder(
    tmp_path: Path, cluster: RayExecutor
) -> None:
    manifest = texts_planned(tmp_path)
    (tmp_path / "b.jsonl").write_text('{"text": "other"}\n')
    with pytest.raises(ManifestDamagedError, match="was changed after") as raised:
        materialise(MaterialiseRequest(manifest, tmp_path / "out"), cluster)
    assert type(raised.value) is ManifestDamagedError
    assert "plan again" in raised.value.hint
    assert not list(tmp_path.glob("*out*"))


def test_results_come_in_the_order_of_the_tasks(cluster: RayExecutor) -> None:
    tasks = [["B", "b"], ["c"], ["A"]]
    assert list(cluster.map(slugs, tasks)) == [["b", "b-2"], ["c"], ["a"]]
