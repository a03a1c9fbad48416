"""Shares in other units, against arithmetic done by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.contracts.units import document_shares, largest_remainder

SHARES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20).filter(lambda s: sum(s) > 1e-6)


def test_long_documents_need_fewer_draws() -> None:
    # Half of the tokens each: documents of 100 tokens are drawn nine times as often as of 900.
    assert document_shares([0.5, 0.5], [100.0, 900.0]) == pytest.approx([0.9, 0.1])


@given(SHARES, st.data())
def test_drawing_by_documents_gives_the_shares_of_tokens(
    raw: list[float], data: st.DataObject
) -> None:
    shares = [value / sum(raw) for value in raw]
    means = [data.draw(st.floats(1.0, 1e5)) for _ in shares]
    drawn = [d * t for d, t in zip(document_shares(shares, means), means, strict=True)]
    assert [value / sum(drawn) for value in drawn] == pytest.approx(shares, abs=1e-9)


@pytest.mark.parametrize("shares", [[0.0, 0.0], [-0.1, 1.1]])
def test_what_is_no_mixture_is_refused(shares: list[float]) -> None:
    with pytest.raises(ValueError, match=r"not negative|above 0"):
        largest_remainder(shares, 10)


def test_a_domain_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        document_shares([0.5, 0.5], [0.0, 1.0])
