"""Where a job runs: device, threads and deterministic kernels."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tandem_engine.contracts.spec import RuntimeSpec
from tandem_engine.errors import InvalidSpecError, OutOfMemoryError


def prepare_device(runtime: RuntimeSpec) -> torch.device:
    """Return the job's device after making its arithmetic repeatable.

    Raises:
        InvalidSpecError: CUDA is asked for and there is none.
    """
    cuda = torch.cuda.is_available()
    if runtime.device == "cuda" and not cuda:
        raise InvalidSpecError(
            "the job asks for a CUDA device and this machine has none",
            field="runtime.device",
            value="cuda",
            hint="use `auto` or `cpu`, or run the worker on a GPU machine",
        )
    # Needed by deterministic cuBLAS; has no effect once CUDA has started.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(runtime.threads or _cores())
    return torch.device("cuda" if cuda and runtime.device != "cpu" else "cpu")


@contextmanager
def translated_memory_errors() -> Iterator[None]:
    """Turn a device's out-of-memory error into ours, with the setting to change.

    Raises:
        OutOfMemoryError: the device ran out of memory inside the block.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"the device is out of memory: {error}",
            field="training.batch_size",
            hint="lower training.batch_size, learning.delta_sequences or the model's size",
        ) from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
