import io
from typing import Any

from rich.console import Console

from demo.follow import BAR_CELLS, Follower, bar, clock, remaining_seconds

NATURAL = {"code": 0.8, "legal": 0.2}


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def job(phase: str, done: int, total: int, state: str = "running") -> dict[str, Any]:
    learning = phase == "learning"
    return {
        "state": state,
        "phase": phase,
        "progress": {
            "phase_done": None if learning else done,
            "phase_total": None if learning else total,
            "episode": done if learning else 40,
            "total_episodes": total if learning else 40,
            "message": "",
        },
        "alpha": {"code": 0.6, "legal": 0.4},
    }


def follow(console: Console) -> tuple[Follower, Clock]:
    now = Clock()
    return Follower(NATURAL, console=console, now=now), now


def test_a_bar_is_as_long_as_its_share_and_marks_the_natural_one() -> None:
    half = bar(0.25, 0.5, 0.5)
    assert len(half) == BAR_CELLS
    assert half.count("█") == BAR_CELLS // 2
    assert half[-1] == "│"


def test_the_time_left_follows_the_pace_so_far() -> None:
    assert remaining_seconds(10, 40, 20.0) == 60.0
    assert remaining_seconds(0, 40, 20.0) is None
    assert remaining_seconds(None, None, 20.0) is None
    assert clock(125) == "2:05"
    assert clock(None) == "--:--"


def test_without_a_terminal_lines_come_at_phase_changes_and_every_few_seconds() -> None:
    out = io.StringIO()
    follower, now = follow(Console(file=out, width=200))
    with follower:
        for second in range(24):
            now.seconds = float(second)
            follower.show(job("learning", second, 40))
        follower.show(job("evaluating", 0, 10))
    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert "learning, 0 of 40 episodes" in lines[0]
    assert "code 60% legal 40%" in lines[0]
    assert "this phase ends in 0:30" in lines[1]
    assert lines[3].strip() == "0:23  evaluating, 0 of 10 models, this phase ends in --:--"


def test_a_job_that_waits_shows_its_state() -> None:
    out = io.StringIO()
    follower, _ = follow(Console(file=out, width=200))
    with follower:
        follower.show({"state": "queued", "phase": None, "progress": None, "alpha": None})
    assert out.getvalue().strip() == "0:00  queued"


def test_in_a_terminal_the_bars_stay_on_the_screen() -> None:
    out = io.StringIO()
    follower, now = follow(Console(file=out, width=120, force_terminal=True))
    with follower:
        follower.show(job("learning", 1, 4))
        now.seconds = 3.0
    assert "60.0%" in out.getvalue()
    assert "natural 80.0%" in out.getvalue()


def test_the_time_of_each_phase_is_added_up() -> None:
    follower, now = follow(Console(file=io.StringIO()))
    with follower:
        follower.show(job("reading", 0, 0))
        now.seconds = 2.0
        follower.show(job("learning", 0, 4))
        now.seconds = 9.0
    assert follower.phase_seconds == {"reading": 2.0, "learning": 7.0}
