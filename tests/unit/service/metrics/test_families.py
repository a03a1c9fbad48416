"""What a snapshot looks like as metrics."""

from collections.abc import Mapping

from service.jobs.lifecycle import JobState
from service.metrics.families import OUTCOMES, SCENARIOS, families
from service.metrics.progress import Progress
from service.metrics.repository import Backlog, Ended, Group, Held, Snapshot

Samples = Mapping[tuple[str, tuple[str, ...]], float]


def _samples(snapshot: Snapshot, seen: Mapping[str, int] | None = None) -> Samples:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for metric in families(snapshot, seen or {})
        for sample in metric.samples
    }


def _held(job: str, tokens: int, *, scenario: str = "sft", episode: int = 1) -> Held:
    return Held(job, scenario, episode, tokens, silent_seconds=tokens / 100)


def test_what_has_not_happened_yet_is_zero_and_not_absent() -> None:
    samples = _samples(Snapshot())
    assert set(samples.values()) == {0}
    for state in JobState:
        for scenario in SCENARIOS:
            assert ("tandem_jobs", (state, scenario)) in samples
    for outcome in OUTCOMES:
        assert ("tandem_job_attempts_total", (outcome,)) in samples


def test_durations_are_of_jobs_that_succeeded_and_waits_of_all_that_started() -> None:
    groups = [
        Group("succeeded", "sft", 2, 2, 30.0, 500.0),
        Group("failed", "sft", 3, 3, 60.0, 90.0),
        Group("queued", "sft", 4, 1, 10.0, 0.0),
    ]
    samples = _samples(Snapshot(groups=groups))
    assert samples["tandem_job_duration_seconds_count", ("sft",)] == 2
    assert samples["tandem_job_duration_seconds_sum", ("sft",)] == 500
    assert samples["tandem_job_queue_wait_seconds_count", ("sft",)] == 6
    assert samples["tandem_job_queue_wait_seconds_sum", ("sft",)] == 100
    assert samples["tandem_jobs", ("queued", "sft")] == 4


def test_held_jobs_are_summed_by_scenario_and_none_is_named() -> None:
    held = [_held("job_a", 100), _held("job_b", 250), _held("job_c", 7, scenario="data_abundant")]
    samples = _samples(Snapshot(held=held))
    assert samples["tandem_job_tokens", ("sft",)] == 350
    assert samples["tandem_job_episodes", ("sft",)] == 2
    assert samples["tandem_job_tokens", ("data_abundant",)] == 7
    assert samples["tandem_oldest_heartbeat_seconds", ()] == 2.5
    assert not any("job_" in label for _, labels in samples for label in labels)


def test_lost_leases_are_counted_over_all_outcomes() -> None:
    samples = _samples(Snapshot(ended=[Ended("released", 5, 3), Ended("failed", 1, 0)]))
    assert samples["tandem_leases_expired_total", ()] == 3
    assert samples["tandem_job_attempts_total", ("released",)] == 5


def test_what_an_older_or_newer_release_wrote_is_shown_beside_the_known() -> None:
    snapshot = Snapshot(
        groups=[Group("queued", "unknown", 1, 0, 0.0, 0.0)],
        ended=[Ended("evicted", 1, 0)],
        backlogs=[Backlog("elsewhere", 2, 9.0)],
    )
    samples = _samples(snapshot, {"unknown": 5})
    assert samples["tandem_jobs", ("queued", "unknown")] == 1
    assert samples["tandem_job_attempts_total", ("evicted",)] == 1
    assert samples["tandem_pending_events", ("elsewhere",)] == 2
    assert samples["tandem_oldest_pending_event_seconds", ("elsewhere",)] == 9
    assert samples["tandem_tokens_seen_total", ("unknown",)] == 5


def test_tokens_seen_never_fall_when_jobs_begin_end_or_are_rewound() -> None:
    progress = Progress()
    looks = [
        [_held("a", 1000)],  # where it is, not what it gained
        [_held("a", 1500), _held("b", 300)],
        [_held("a", 1200), _held("b", 400)],  # a is rewound
        [_held("b", 450)],  # a is over
        [],
        [_held("b", 500)],  # given back and taken again
    ]
    assert [progress.look(look).get("sft", 0) for look in looks] == [0, 500, 600, 650, 650, 650]
