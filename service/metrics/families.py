"""A snapshot of the database as metrics. Labels are closed sets: never a tenant, never a job."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from service.jobs.lifecycle import JobState
from service.metrics.repository import Backlog, Ended, Group, Held, Queue, Snapshot
from tandem_engine.contracts.spec import Scenario

SCENARIOS: tuple[str, ...] = get_args(Scenario)
OUTCOMES = ("succeeded", "failed", "cancelled", "paused", "released")


def families(snapshot: Snapshot, tokens_seen: Mapping[str, int]) -> Iterator[Metric]:
    """Yield every metric that the database is asked for, also those that are zero.

    Args:
        snapshot: What the database says.
        tokens_seen: Tokens by scenario, see `Progress`.
    """
    yield from _of_jobs(snapshot.groups)
    yield from _of_queue(snapshot.queue)
    yield from _of_attempts(snapshot.ended)
    yield from _of_held(snapshot.held, tokens_seen)
    yield from _of_backlogs(snapshot.backlogs)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _by_scenario(
    family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, float]
) -> Metric:
    # Zero is a value: a series that appears only with the first job has no rate at its start.
    for scenario in dict.fromkeys((*SCENARIOS, *values)):
        family.add_metric([scenario], values.get(scenario, 0))
    return family


def _of_jobs(groups: Sequence[Group]) -> Iterator[Metric]:
    jobs = _gauge("tandem_jobs", "Jobs by state and scenario.", "state", "scenario")
    found = {(group.state, group.scenario): group.jobs for group in groups}
    every = [(str(state), scenario) for state in JobState for scenario in SCENARIOS]
    for key in dict.fromkeys((*every, *found)):
        jobs.add_metric(key, found.get(key, 0))
    yield jobs
    waits = SummaryMetricFamily(
        "tandem_job_queue_wait_seconds",
        "Time from a job's creation to its first start.",
        labels=("scenario",),
    )
    durations = SummaryMetricFamily(
        "tandem_job_duration_seconds",
        "Time from a job's first start to its end, of jobs that succeeded.",
        labels=("scenario",),
    )
    for scenario in dict.fromkeys((*SCENARIOS, *(group.scenario for group in groups))):
        own = [group for group in groups if group.scenario == scenario]
        waited = sum(group.waited_seconds for group in own)
        waits.add_metric([scenario], sum(group.started for group in own), waited)
        # Other ends can be taken back by a retry, and a summary must not fall.
        done = [group for group in own if group.state == JobState.SUCCEEDED]
        lasted = sum(group.lasted_seconds for group in done)
        durations.add_metric([scenario], sum(group.jobs for group in done), lasted)
    yield waits
    yield durations


def _of_queue(queue: Queue) -> Iterator[Metric]:
    for name, text, value in (
        (
            "tandem_oldest_queued_seconds",
            "How long the first of the queued jobs could have been running.",
            queue.oldest_seconds,
        ),
        (
            "tandem_unannounced_jobs",
            "Queued jobs whose message to the workers was not sent.",
            queue.unannounced,
        ),
        (
            "tandem_oldest_unannounced_seconds",
            "How long the first of these has been due.",
            queue.oldest_unannounced_seconds,
        ),
    ):
        yield GaugeMetricFamily(name, text, value=value)


def _of_attempts(ended: Sequence[Ended]) -> Iterator[Metric]:
    attempts = CounterMetricFamily(
        "tandem_job_attempts_total", "Attempts that ended, by outcome.", labels=("outcome",)
    )
    found = {one.outcome: one.attempts for one in ended}
    for outcome in dict.fromkeys((*OUTCOMES, *found)):
        attempts.add_metric([outcome], found.get(outcome, 0))
    yield attempts
    yield CounterMetricFamily(
        "tandem_leases_expired_total",
        "Attempts that ended because their worker gave no sign of life.",
        value=sum(one.lease_expired for one in ended),
    )


def _of_held(held: Sequence[Held], tokens_seen: Mapping[str, int]) -> Iterator[Metric]:
    tokens: Counter[str] = Counter()
    episodes: Counter[str] = Counter()
    for job in held:
        tokens[job.scenario] += job.tokens
        episodes[job.scenario] += job.episode
    yield _by_scenario(
        _gauge("tandem_job_tokens", "Tokens learned from by held jobs so far.", "scenario"), tokens
    )
    yield _by_scenario(
        _gauge("tandem_job_episodes", "Episodes of held jobs so far.", "scenario"), episodes
    )
    seen = CounterMetricFamily(
        "tandem_tokens_seen_total",
        "Tokens that this process saw jobs learn from between scrapes.",
        labels=("scenario",),
    )
    yield _by_scenario(seen, tokens_seen)
    yield GaugeMetricFamily(
        "tandem_oldest_heartbeat_seconds",
        "Age of the oldest last sign of life among held jobs.",
        value=max((job.silent_seconds for job in held), default=0.0),
    )


def _of_backlogs(backlogs: Sequence[Backlog]) -> Iterator[Metric]:
    pending = _gauge("tandem_pending_events", "Events that a receiver was not told.", "sink")
    oldest = _gauge("tandem_oldest_pending_event_seconds", "Age of the first of them.", "sink")
    for backlog in backlogs:
        pending.add_metric([backlog.sink], backlog.events)
        oldest.add_metric([backlog.sink], backlog.oldest_seconds)
    yield pending
    yield oldest
