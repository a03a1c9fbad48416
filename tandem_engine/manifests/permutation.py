"""The seeded permutation "feistel6-splitmix64", version 1: which documents are read once more.

`permute` maps each i of [0, n) to its own place in [0, n), without a list of n numbers. Taking the
documents with place < h takes exactly h of them; a larger h only adds documents.

Definition, in unsigned 64-bit arithmetic modulo 2^64 (`permute_reference` is the same in plain
Python; it needs nothing but the standard library):

- Key. state = the first 8 bytes, little-endian, of sha256(b"feistel6-splitmix64:1:" + seed as 8
  bytes little-endian + the domain's name in UTF-8). The six round keys are the first six outputs
  of SplitMix64 from that state: for r = 1..6, key_r = mix(state + r * 0x9E3779B97F4A7C15).
- mix(z): z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9; z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  z ^ (z >> 31).
- Width. b = the smallest number of bits, at least 1, with 4^b >= n. A value x < 4^b is the pair
  left = x >> b, right = x & (2^b - 1).
- Round r = 1..6: (left, right) = (right, left ^ (mix(right + key_r) & (2^b - 1))).
  The result is (left << b) | right.
- Cycle walking. While the result is not below n, apply all six rounds to it again.

Test vectors (seed, domain, n: places of i = 0, 1, 2, ...):

- 0, "manuals", 10: 7 5 3 8 1 0 9 2 6 4
- 1, "manuals", 10: 2 7 3 0 1 5 6 4 8 9
- 0, "code", 1: 0
- 7, "web", 10000000000: 1094120997 8844981919 1166249635 8475601559 6335407477 7886157736
"""

import hashlib

import numpy as np
import numpy.typing as npt

NAME = "feistel6-splitmix64"
VERSION = 1
MAX_SIZE = 2**62

_ROUNDS = 6
_MASK64 = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX1 = 0xBF58476D1CE4E5B9
_MIX2 = 0x94D049BB133111EB


def permute(
    indices: npt.NDArray[np.integer], size: int, *, seed: int, domain: str
) -> npt.NDArray[np.int64]:
    """Return the places of `indices` under the permutation of [0, size), same shape.

    Raises:
        ValueError: `size` is not in [1, 2^62], `seed` not in [0, 2^64), or an index not in
            [0, size).
    """
    _require_valid(size, seed)
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < size:
        msg = f"indices must be in [0, {size}), got {indices.min()}..{indices.max()}"
        raise ValueError(msg)
    keys = [np.uint64(key) for key in _round_keys(seed, domain)]
    width = _half_width(size)
    places = _encrypt(indices.astype(np.uint64).ravel(), keys, width)
    outside = np.flatnonzero(places >= size)
    while outside.size:
        walked = _encrypt(places[outside], keys, width)
        places[outside] = walked
        outside = outside[walked >= size]
    return places.astype(np.int64).reshape(indices.shape)


def permute_reference(index: int, size: int, *, seed: int, domain: str) -> int:
    """Return the place of one index: the definition, in plain integers; raises as `permute`."""
    _require_valid(size, seed)
    if not 0 <= index < size:
        msg = f"index must be in [0, {size}), got {index}"
        raise ValueError(msg)
    width = _half_width(size)
    half = (1 << width) - 1
    place = index
    while True:
        left, right = place >> width, place & half
        for key in _round_keys(seed, domain):
            left, right = right, left ^ (_mix((right + key) & _MASK64) & half)
        place = left << width | right
        if place < size:
            return place


def _encrypt(
    values: npt.NDArray[np.uint64], keys: list[np.uint64], width: int
) -> npt.NDArray[np.uint64]:
    half = np.uint64((1 << width) - 1)
    bits = np.uint64(width)
    left, right = values >> bits, values & half
    for key in keys:
        # Array arithmetic wraps modulo 2^64 without a warning, as the definition asks.
        z = right + key
        z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX1)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX2)
        left, right = right, left ^ ((z ^ (z >> np.uint64(31))) & half)
    return (left << bits) | right


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * _MIX1) & _MASK64
    z = ((z ^ (z >> 27)) * _MIX2) & _MASK64
    return z ^ (z >> 31)


def _round_keys(seed: int, domain: str) -> list[int]:
    material = f"{NAME}:{VERSION}:".encode() + seed.to_bytes(8, "little") + domain.encode("utf-8")
    state = int.from_bytes(hashlib.sha256(material).digest()[:8], "little")
    return [_mix((state + turn * _GOLDEN) & _MASK64) for turn in range(1, _ROUNDS + 1)]


def _half_width(size: int) -> int:
    return max(1, ((size - 1).bit_length() + 1) // 2)


def _require_valid(size: int, seed: int) -> None:
    if not 1 <= size <= MAX_SIZE or not 0 <= seed <= _MASK64:
        msg = f"size must be in [1, 2^62] and seed in [0, 2^64), got {size} and {seed}"
        raise ValueError(msg)
