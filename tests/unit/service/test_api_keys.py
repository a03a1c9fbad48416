"""Keys and their hashes."""

import pytest

from service.auth.api_keys import hash_key, make_key, matches, prefix_of


def test_a_key_matches_only_its_own_hash_under_its_own_pepper() -> None:
    key, other = make_key(), make_key()
    stored = hash_key(key.text, "pepper")
    assert matches(key.text, "pepper", stored)
    assert not matches(other.text, "pepper", stored)
    assert not matches(key.text, "salt", stored)


def test_a_hash_does_not_hold_the_key() -> None:
    key = make_key()
    secret = key.text.rsplit("_", 1)[1]
    assert bytes.fromhex(secret) not in hash_key(key.text, "")
    assert key.prefix not in secret


def test_a_key_tells_its_prefix() -> None:
    key = make_key()
    assert prefix_of(key.text) == key.prefix


@pytest.mark.parametrize(
    "text", ["", "tnd_", "tnd_abc_def", "tnd_" + "0" * 12 + "_" + "0" * 63, make_key().text + "\n"]
)
def test_other_text_is_no_key(text: str) -> None:
    assert prefix_of(text) is None
