"""POST /v1/jobs."""

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from redis import Redis
from support.api import Api
from support.messages import messages

from embedded.valkey import start_valkey, stop_valkey
from service.settings import Settings
from service.task_queue import RUN_JOB
from tandem_engine.contracts.spec import JobSpec


def _errors(answer: Any) -> list[tuple[str, str]]:
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


@pytest.fixture(autouse=True)
def _empty_queue(settings: Settings) -> None:
    client = Redis.from_url(settings.redis_url)
    client.flushall()
    client.close()


def test_a_created_job_is_queued_resolved_and_announced(api: Api, settings: Settings) -> None:
    answer = api.client.post(
        "/v1/jobs",
        json={"name": "first", "labels": {"team": "x"}, "spec": api.spec(seed=7)},
    )

    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert api.client.get(answer.headers["Location"]).json() == job
    assert (job["state"], job["name"], job["labels"]) == ("queued", "first", {"team": "x"})
    assert (job["attempt"], job["max_attempts"], job["alpha"]) == (0, 3, None)
    assert job["spec"]["seed"] == 7
    assert job["spec"]["preset"] == "tiny-restricted"
    episodes = JobSpec.model_validate(job["spec"]).learning.episodes
    assert job["progress"]["total_episodes"] == episodes
    canonical = json.dumps(job["spec"], sort_keys=True, separators=(",", ":"))
    assert job["spec_sha256"] == hashlib.sha256(canonical.encode()).hexdigest()
    (message,) = messages(settings)
    assert message["headers"]["task"] == RUN_JOB
    assert message["content-type"] == "application/json"
    events = api.client.get(job["links"]["events"]).json()["data"]
    assert [(event["type"], event["data"]) for event in events] == [
        ("state", {"from": None, "to": "queued"})
    ]


def test_a_returned_specification_can_be_submitted_again(api: Api) -> None:
    first = api.create(seed=3)
    second = api.client.post("/v1/jobs", json={"spec": first["spec"]}).json()
    assert second["spec"] == first["spec"]
    assert second["spec_sha256"] == first["spec_sha256"]


def test_every_bad_domain_is_named_at_its_place_in_the_request(api: Api, tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"text": "a"}\n{"text": \n', encoding="utf-8")
    (tmp_path / "blank.txt").write_text(" \n", encoding="utf-8")
    (tmp_path / "small.txt").write_text("short", encoding="utf-8")
    (tmp_path / "x.bin").write_bytes(b"x")
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "other.jsonl").write_text('{"body": "a"}\n', encoding="utf-8")
    (tmp_path / "latin.jsonl").write_bytes('{"text": "é"}\n'.encode("latin-1"))
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "numbers.parquet")
    pq.write_table(pa.table({"body": ["a"]}), tmp_path / "column.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and nothing more")
    (tmp_path / "outside.jsonl").symlink_to("/etc/hostname")

    def domain(name: str, *files: str) -> dict[str, Any]:
        return {"name": name, "uris": [str(tmp_path / file) for file in files]}

    # Not in the order of their names: a pointer must lead into the request as it was sent.
    domains = [
        domain("z", "missing.jsonl", "broken.jsonl"),
        api.domain("fine"),
        domain("y", "blank.txt"),
        domain("x", "small.txt"),
        domain("w", "x.bin"),
        domain("v", "folder.jsonl"),
        domain("u", "other.jsonl"),
        domain("t", "latin.jsonl"),
        domain("s", "numbers.parquet"),
        domain("r", "column.parquet"),
        domain("q", "torn.parquet"),
        domain("p", "outside.jsonl"),
        {"name": "o", "uris": ["/etc/passwd"], "format": "text"},
    ]
    answer = api.client.post("/v1/jobs", json={"spec": {"domains": domains}})

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "datasets_invalid"
    assert sorted(_errors(answer)) == sorted(
        [
            ("/spec/domains/0/uris/0", "dataset_unreadable"),
            ("/spec/domains/0/uris/1", "dataset_malformed"),
            ("/spec/domains/2/uris", "dataset_empty"),
            ("/spec/domains/3/uris", "domain_too_small"),
            ("/spec/domains/4/uris/0", "invalid_spec"),
            ("/spec/domains/5/uris/0", "dataset_unreadable"),
            ("/spec/domains/6/uris/0", "dataset_malformed"),
            ("/spec/domains/7/uris/0", "dataset_malformed"),
            ("/spec/domains/8/uris/0", "dataset_malformed"),
            ("/spec/domains/9/uris/0", "dataset_malformed"),
            ("/spec/domains/10/uris/0", "dataset_malformed"),
            ("/spec/domains/11/uris/0", "uri_not_allowed"),
            ("/spec/domains/12/uris/0", "uri_not_allowed"),
        ]
    )
    assert all(error["hint"] and error["value"] for error in answer.json()["errors"])
    assert api.client.get("/v1/jobs").json()["data"] == []


def test_one_kind_of_mistake_gives_the_problem_its_code(api: Api, tmp_path: Path) -> None:
    missing = {"name": "b", "uris": [f"file://{tmp_path}/no%20such.jsonl"]}
    answer = api.client.post("/v1/jobs", json={"spec": {"domains": [api.domain("a"), missing]}})
    problem = answer.json()
    assert problem["code"] == "dataset_unreadable"
    assert problem["type"] == "urn:tandem:problem:dataset_unreadable"
    assert "no such.jsonl: does not exist" in problem["detail"]


def test_parquet_and_text_domains_are_accepted(api: Api, tmp_path: Path) -> None:
    texts = [f"{number} " + "word " * 40 for number in range(5)]
    pq.write_table(pa.table({"body": texts}), tmp_path / "a.parquet")
    uris = []
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.md").write_text(text, encoding="utf-8")
        uris.append(f"file://{tmp_path}/{number}.md")
    domains = [
        {"name": "a", "uris": [str(tmp_path / "a.parquet")], "text_field": "body"},
        {"name": "b", "uris": uris},
    ]
    assert api.create(domains=domains)["state"] == "queued"


def test_too_few_tokens_for_the_context_are_refused(api: Api) -> None:
    spec = api.spec(training={"context_length": 2048})
    answer = api.client.post("/v1/jobs", json={"spec": spec})
    assert answer.json()["code"] == "domain_too_small"
    assert "2049 tokens" in answer.json()["errors"][0]["message"]


def test_repeated_documents_do_not_count(api: Api, tmp_path: Path) -> None:
    line = json.dumps({"text": "word " * 500}) + "\n"
    (tmp_path / "same.jsonl").write_text(line * 50, encoding="utf-8")
    same = {"name": "same", "uris": [str(tmp_path / "same.jsonl")]}
    answer = api.client.post("/v1/jobs", json={"spec": {"domains": [api.domain("a"), same]}})
    assert answer.json()["code"] == "domain_too_small"
    assert "1 distinct documents" in answer.json()["errors"][0]["message"]


def test_an_unknown_preset_names_the_ones_there_are(api: Api) -> None:
    answer = api.client.post("/v1/jobs", json={"spec": api.spec(preset="huge")})
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"], error["value"]) == (
        "/spec/preset",
        "invalid_spec",
        "huge",
    )
    assert "tiny-restricted" in error["hint"]


def test_a_tokenizer_folder_must_exist(api: Api, tmp_path: Path) -> None:
    tokenizer = {"kind": "huggingface", "path": str(tmp_path / "none")}
    answer = api.client.post("/v1/jobs", json={"spec": api.spec(tokenizer=tokenizer)})
    assert _errors(answer) == [("/spec/tokenizer/path", "tokenizer_unreadable")]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"seed": -1}, "/spec/seed"),
        ({"nonsense": 1}, "/spec/nonsense"),
        ({"learning": {"penalty": 0}}, "/spec/learning/penalty"),
        ({"learning": {"penalty": 1e999}}, "/spec/learning/penalty"),
        ({"scenario": "sideways"}, "/spec/scenario"),
        ({"domains": []}, "/spec/domains"),
    ],
)
def test_a_wrong_field_is_named_with_a_pointer(
    api: Api, changes: dict[str, Any], pointer: str
) -> None:
    content = json.dumps({"spec": api.spec(**changes)}).replace("Infinity", "1e999")
    headers = {"Content-Type": "application/json"}
    answer = api.client.post("/v1/jobs", content=content, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["code"] == "validation_failed"
    assert [found for found, _ in _errors(answer)] == [pointer]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b'{"spec": ', 400, "malformed_request"),
        (b"\xff\xfe", 400, "malformed_request"),
        (b"[" * 100_000, 400, "malformed_request"),
        (b"[]", 422, "validation_failed"),
        (b"", 422, "validation_failed"),
        (b'{"name": "' + b"x" * 1_000_001 + b'"}', 413, "payload_too_large"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem(
    api: Api, content: bytes, status: int, code: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = api.client.post("/v1/jobs", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("bad", ["a\x00b", "\ud800"])
def test_text_that_no_database_stores_is_refused(api: Api, bad: str) -> None:
    spec = api.spec()
    spec["domains"][1]["text_field"] = bad
    content = json.dumps({"spec": spec})
    headers = {"Content-Type": "application/json"}
    answer = api.client.post("/v1/jobs", content=content, headers=headers)
    assert answer.status_code == 422
    assert _errors(answer)[0][0] == "/spec/domains/1/text_field"


def test_the_same_key_and_body_give_the_first_answer_again(api: Api, settings: Settings) -> None:
    headers = {"Idempotency-Key": "abc"}
    body = {"spec": api.spec()}
    first = api.client.post("/v1/jobs", json=body, headers=headers)
    again = api.client.post("/v1/jobs", json=body, headers=headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(api.client.get("/v1/jobs").json()["data"]) == 1
    assert len(messages(settings)) == 1


def test_the_same_key_with_another_body_is_refused(api: Api) -> None:
    headers = {"Idempotency-Key": "abc"}
    api.client.post("/v1/jobs", json={"spec": api.spec()}, headers=headers)
    answer = api.client.post("/v1/jobs", json={"spec": api.spec(seed=1)}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_a_refused_request_does_not_use_its_key_up(api: Api) -> None:
    headers = {"Idempotency-Key": "abc"}
    bad = api.client.post("/v1/jobs", json={"spec": api.spec(preset="huge")}, headers=headers)
    good = api.client.post("/v1/jobs", json={"spec": api.spec()}, headers=headers)
    assert (bad.status_code, good.status_code) == (422, 201)


def test_of_many_requests_at_once_with_one_key_one_makes_a_job(
    api: Api, settings: Settings
) -> None:
    body = {"spec": api.spec()}

    def post(_: int) -> Any:
        return api.client.post("/v1/jobs", json=body, headers={"Idempotency-Key": "abc"})

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(post, range(6)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 5
    assert len(api.client.get("/v1/jobs").json()["data"]) == 1
    assert len(messages(settings)) == 1


def test_redis_down_is_not_an_error_when_a_job_is_created(api: Api, valkey_directory: Path) -> None:
    stop_valkey(valkey_directory)
    api.create()
    started = time.monotonic()
    assert api.create()["state"] == "queued"
    assert time.monotonic() - started < 1.5  # a retry with a pause would take two seconds
    ready = api.client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")


def test_a_restart_of_redis_does_not_cost_the_next_message(
    api: Api, settings: Settings, valkey_directory: Path
) -> None:
    api.create()
    stop_valkey(valkey_directory)
    start_valkey(valkey_directory)
    api.create()
    assert len(messages(settings)) == 2


def test_a_job_that_was_not_announced_is_announced_when_redis_is_back(
    api: Api, settings: Settings, valkey_directory: Path
) -> None:
    stop_valkey(valkey_directory)
    api.create()
    assert start_valkey(valkey_directory) == settings.redis_url
    assert api.context.reconciler.run_once().announced == 1
    assert len(messages(settings)) == 1
    assert api.context.reconciler.run_once().announced == 0
