"""One root seed; every random stream is named and derived from it, so no stream moves another."""

import hashlib

import numpy as np
import torch


def derive_seed(root: int, *labels: str | int) -> int:
    """Return a 63-bit seed for the stream that `labels` name.

    The same root and labels give the same seed on every machine; sha256 keeps streams apart.
    """
    text = "\x1f".join([str(root), *map(str, labels)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_generator(root: int, *labels: str | int) -> np.random.Generator:
    """Return a NumPy generator for the named stream."""
    return np.random.Generator(np.random.PCG64(derive_seed(root, *labels)))


def seed_torch(root: int, *labels: str | int) -> None:
    """Seed torch's global generators (initial weights, dropout) for the named stream."""
    torch.manual_seed(derive_seed(root, *labels))
