"""The client against a service that answers as told."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from client.errors import ManifestDamagedError, ServiceUnreachableError, TandemApiError
from client.http import TandemClient

Handler = Callable[[httpx.Request], httpx.Response]


class Service:
    """Answers with the given responses in turn and keeps the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.requests: list[httpx.Request] = []
        self.naps: list[float] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> TandemClient:
        return TandemClient(
            "http://tandem.test/",
            "tnd_a_b",
            transport=httpx.MockTransport(self),
            sleep=self.naps.append,
        )


def _json(document: object, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=document, headers=headers)


def _page(
    steps: list[int], *, headers: dict[str, str] | None = None, **changes: Any
) -> httpx.Response:
    page = {
        "domains": ["code", "manuals"],
        "epoch": 1,
        "rewind": None,
        "columns": {"step": steps, "alpha": [[0.25, 0.75]] * len(steps)},
        "has_more": False,
        "job_state": "running",
        "poll_after_ms": 500,
    }
    return _json(page | changes, **(headers or {}))


def test_a_submission_carries_key_name_and_specification() -> None:
    service = Service(_json({"id": "job_1"}, 201))
    assert service.client().submit({"seed": 3}, name="first", labels={"a": "b"})["id"] == "job_1"
    request = service.requests[0]
    assert request.headers["authorization"] == "Bearer tnd_a_b"
    assert json.loads(request.content) == {
        "spec": {"seed": 3},
        "name": "first",
        "labels": {"a": "b"},
    }


def test_a_retried_submission_has_the_same_idempotency_key() -> None:
    service = Service(httpx.ConnectError("refused"), _json({}, 503), _json({"id": "job_1"}, 201))
    service.client().submit({})
    keys = {request.headers["idempotency-key"] for request in service.requests}
    assert len(service.requests) == 3
    assert len(keys) == 1


def test_two_submissions_have_different_idempotency_keys() -> None:
    service = Service(_json({}, 201), _json({}, 201))
    client = service.client()
    client.submit({})
    client.submit({})
    assert len({request.headers["idempotency-key"] for request in service.requests}) == 2


def test_a_wait_that_the_service_asks_for_is_kept() -> None:
    service = Service(_json({}, 429, **{"retry-after": "7"}), _json({"id": "job_1"}))
    service.client().job("job_1")
    assert service.naps == [7.0]


def test_a_refusal_is_not_tried_again_and_speaks_in_the_problems_words() -> None:
    problem = {
        "title": "Invalid",
        "detail": "the specification is invalid",
        "code": "validation_failed",
        "errors": [
            {
                "pointer": "/spec/domains/1/uris/0",
                "message": "no such file",
                "value": "/data/missing.jsonl",
                "hint": "give the path of a file",
            }
        ],
        "request_id": "req_1",
    }
    service = Service(_json(problem, 422))
    with pytest.raises(TandemApiError) as raised:
        service.client().submit({})
    assert raised.value.code == "validation_failed"
    assert raised.value.request_id == "req_1"
    for words in ("/spec/domains/1/uris/0", "no such file", "missing.jsonl", "give the path"):
        assert words in str(raised.value)


def test_an_answer_that_is_no_problem_document_is_still_an_error() -> None:
    service = Service(httpx.Response(404, text="<html>proxy says no</html>"))
    with pytest.raises(TandemApiError, match="proxy says no"):
        service.client().job("job_1")


def test_a_service_that_never_answers_is_named() -> None:
    service = Service(*[httpx.ConnectError("refused")] * 4)
    with pytest.raises(ServiceUnreachableError, match="tandem up"):
        service.client().job("job_1")
    assert service.naps == [0.5, 1.0, 2.0]


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    service = Service(_json({}))
    service.client().job("../api-keys?x=1")
    assert service.requests[0].url.raw_path == b"/v1/jobs/..%2Fapi-keys%3Fx%3D1"


def test_all_pages_of_jobs_are_read() -> None:
    service = Service(
        _json({"data": [{"id": "c"}, {"id": "b"}], "next_page_token": "t"}),
        _json({"data": [{"id": "a"}], "next_page_token": None}),
    )
    assert [job["id"] for job in service.client().jobs()] == ["c", "b", "a"]
    assert service.requests[1].url.params["page_token"] == "t"


def test_a_trajectory_is_followed_to_the_end_of_the_job() -> None:
    service = Service(
        _page([10, 20], has_more=True), _page([30]), _page([40], job_state="succeeded")
    )
    points = list(service.client().iter_trajectory("job_1"))
    assert [point["step"] for point in points] == [10, 20, 30, 40]
    assert points[0]["alpha"] == {"code": 0.25, "manuals": 0.75}
    asked = [request.url.params["after_step"] for request in service.requests]
    assert asked == ["0", "20", "30"]
    assert service.naps == [0.5]


def test_a_service_that_waits_for_news_is_asked_again_at_once() -> None:
    waited = {"Preference-Applied": "wait=15"}
    service = Service(
        _page([10], headers=waited), _page([], headers=waited), _page([20], job_state="succeeded")
    )
    points = list(service.client().iter_trajectory("job_1"))
    assert [point["step"] for point in points] == [10, 20]
    assert {request.headers["prefer"] for request in service.requests} == {"wait=15"}
    assert service.naps == []


def test_losses_on_targets_are_named_by_target() -> None:
    columns = {"step": [10], "alpha": [[0.25, 0.75]], "target_loss": [[2.5]]}
    service = Service(_page([], columns=columns, targets=["exam"]))
    (point,) = service.client().iter_trajectory("job_1", follow=False)
    assert point["target_loss"] == {"exam": 2.5}


def test_a_trajectory_that_is_not_followed_is_not_waited_for() -> None:
    service = Service(_page([10]))
    assert len(list(service.client().iter_trajectory("job_1", follow=False))) == 1
    assert "prefer" not in service.requests[0].headers


def test_a_rewind_reads_the_rewritten_steps_again() -> None:
    service = Service(
        _page([10, 20, 30]),
        _page([], epoch=2, rewind={"to_step": 10}),
        _page([20, 30, 40], epoch=2, job_state="succeeded"),
    )
    points = list(service.client().iter_trajectory("job_1"))
    assert [point["step"] for point in points] == [10, 20, 30, 20, 30, 40]
    assert service.requests[2].url.params["after_step"] == "10"
    assert service.requests[2].url.params["epoch"] == "2"


def test_waiting_ends_with_the_job() -> None:
    service = Service(_json({"state": "queued"}), _json({"state": "failed", "id": "job_1"}))
    assert service.client().wait("job_1")["id"] == "job_1"


def test_waiting_has_an_end() -> None:
    service = Service(_json({"state": "queued"}))
    with pytest.raises(TimeoutError, match="queued"):
        service.client().wait("job_1", timeout_seconds=0)


def _manifest(files: dict[str, bytes], *, damage: bool = False) -> list[httpx.Response]:
    entries = [
        {
            "path": name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "rows": 1,
            "bytes": len(content),
        }
        for name, content in files.items()
    ]
    contents = [content + (b"!" if damage else b"") for content in files.values()]
    return [_json({"files": entries}), *[httpx.Response(200, content=c) for c in contents]]


def test_a_manifest_is_downloaded_with_its_files(tmp_path: Path) -> None:
    service = Service(*_manifest({"domains.parquet": b"PAR1", "documents.parquet": b"PAR1PAR1"}))
    _, written = service.client().download_manifest("job_1", tmp_path / "new" / "folder")
    names = sorted(path.name for path in written)
    assert names == ["documents.parquet", "domains.parquet", "manifest.json"]
    assert (tmp_path / "new" / "folder" / "documents.parquet").read_bytes() == b"PAR1PAR1"


def test_a_damaged_file_of_a_manifest_is_not_kept(tmp_path: Path) -> None:
    service = Service(*_manifest({"domains.parquet": b"PAR1"}, damage=True))
    with pytest.raises(ManifestDamagedError, match=r"domains\.parquet"):
        service.client().download_manifest("job_1", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    service = Service(*_manifest({"../../evil.parquet": b"PAR1"}))
    with pytest.raises(ManifestDamagedError, match="evil"):
        service.client().download_manifest("job_1", tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("evil.parquet"))


def test_events_are_read_to_the_last_page() -> None:
    service = Service(_json({"data": [{"seq": 1}, {"seq": 2}]}), _json({"data": []}))
    assert [event["seq"] for event in service.client().events("job_1")] == [1, 2]
    assert service.requests[1].url.params["after"] == "2"
