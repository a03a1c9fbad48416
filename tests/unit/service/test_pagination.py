"""Page tokens."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidCursorError
from service.pagination import decode_token, encode_token

TIMES = st.datetimes(timezones=st.just(UTC))
IDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(TIMES, IDS)
def test_a_token_gives_its_position_back(moment: datetime, identifier: str) -> None:
    assert decode_token(encode_token((moment, identifier))) == (moment, identifier)


@given(st.text(max_size=60))
def test_any_other_text_is_an_invalid_cursor(token: str) -> None:
    try:
        moment, identifier = decode_token(token)
    except InvalidCursorError:
        return
    assert decode_token(encode_token((moment, identifier))) == (moment, identifier)


@pytest.mark.parametrize(
    "document",
    [[], [1, 2], ["2026-11-23T00:00:00", "job_1"], ["2026-11-23T00:00:00+00:00", "a\0"], "x", {}],
)
def test_a_token_of_another_shape_is_refused(document: object) -> None:
    token = base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
    with pytest.raises(InvalidCursorError, match="leave it out"):
        decode_token(token)
