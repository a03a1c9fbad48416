"""What a receiver's answer means."""

import pytest

from service.notifications.receiver import answer_of


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, "taken"),
        (202, "taken"),
        (204, "taken"),
        (301, "away"),
        (308, "away"),
        (400, "refused"),
        (401, "away"),
        (403, "away"),
        (404, "away"),
        (422, "refused"),
        (408, "away"),
        (429, "away"),
        (500, "away"),
        (503, "away"),
    ],
)
def test_only_what_cannot_get_better_is_given_up(status: int, answer: str) -> None:
    assert answer_of(status) == answer
