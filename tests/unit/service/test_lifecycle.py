"""The table of the life cycle, as a graph."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.jobs.lifecycle import (
    LEASED,
    TERMINAL,
    TRANSITIONS,
    IllegalTransitionError,
    JobState,
    check_transition,
)

STATES = st.sampled_from(list(JobState))


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(JobState)
    assert {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED} == TERMINAL


@given(st.lists(STATES, max_size=30))
def test_no_path_leaves_a_final_state_but_a_retry(wishes: list[JobState]) -> None:
    state = JobState.QUEUED
    ended: JobState | None = None
    for wish in wishes:
        try:
            check_transition(state, wish)
        except IllegalTransitionError:
            continue
        # Somebody may ask to try again; nothing leaves a success.
        again = ended in {JobState.FAILED, JobState.CANCELLED} and wish == JobState.QUEUED
        assert ended is None or again, f"left {ended} for {wish}"
        state = wish
        ended = state if state in TERMINAL else None


@given(STATES)
def test_from_every_state_an_end_can_be_reached(start: JobState) -> None:
    reached = {start}
    while new := {target for state in reached for target in TRANSITIONS[state]} - reached:
        reached |= new
    assert reached & TERMINAL


def test_a_worker_is_needed_to_succeed_or_fail() -> None:
    for state, targets in TRANSITIONS.items():
        if targets & {JobState.SUCCEEDED, JobState.FAILED}:
            assert state in LEASED


def test_a_refused_transition_names_what_is_possible() -> None:
    with pytest.raises(IllegalTransitionError, match=r"from queued to running; from queued: canc"):
        check_transition(JobState.QUEUED, JobState.RUNNING)
    with pytest.raises(IllegalTransitionError, match="final state"):
        check_transition(JobState.SUCCEEDED, JobState.QUEUED)
