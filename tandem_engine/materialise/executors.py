"""Where the steps of a large job run: processes of this machine, or an existing Ray cluster."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

from tandem_engine.errors import MissingLibraryError

Task = TypeVar("Task")
Done = TypeVar("Done")


class Executor(Protocol):
    """Runs a function on many tasks and gives the results in the order of the tasks."""

    def map(self, function: Callable[[Task], Done], tasks: Sequence[Task]) -> Iterator[Done]:
        """Yield `function(task)` for each task; both must be picklable."""
        ...


class LocalExecutor:
    """Processes of this machine; one worker runs in this process."""

    def __init__(self, workers: int) -> None:
        """Use at most `workers` processes."""
        self._workers = workers

    def map(self, function: Callable[[Task], Done], tasks: Sequence[Task]) -> Iterator[Done]:
        """See `Executor`."""
        if self._workers == 1 or len(tasks) <= 1:
            yield from map(function, tasks)
            return
        # Spawned, not forked: threads of pyarrow and of tokenizers do not survive a fork.
        with ProcessPoolExecutor(self._workers, mp_context=get_context("spawn")) as pool:
            yield from pool.map(function, tasks)


class RayExecutor:
    """Tasks of a Ray cluster; its machines must see source files and output under one path."""

    def __init__(self, address: str) -> None:
        """Connect to the cluster at `address` (`auto`, `local`, `ray://host:10001`).

        Raises:
            MissingLibraryError: ray is not installed.
        """
        try:
            import ray  # noqa: PLC0415 - optional, and seconds to import
        except ImportError as error:
            raise MissingLibraryError(
                "running on a Ray cluster needs ray, which is not installed",
                field="ray",
                value=address,
                hint="pip install 'ray>=2.40' of the cluster's version",
            ) from error
        self._ray: Any = ray
        if not ray.is_initialized():
            ray.init(address=address, log_to_driver=False)

    def map(self, function: Callable[[Task], Done], tasks: Sequence[Task]) -> Iterator[Done]:
        """See `Executor`."""
        remote = self._ray.remote(function)
        references = [remote.remote(task) for task in tasks]
        try:
            for reference in references:
                yield self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            for reference in references:
                self._ray.cancel(reference)
            # Our own error, not one that looks like it and prints a trace.
            raise (error.cause or error) from None
