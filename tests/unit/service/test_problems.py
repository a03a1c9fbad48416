"""Bodies of problems, tags, ids, idempotency hashes: small pure parts of the interface."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.error_handlers import json_pointer
from service.errors import (
    FieldProblem,
    IdempotencyKeyReusedError,
    ServiceError,
    ValidationFailedError,
)
from service.etags import is_current
from service.idempotency import Answer, replay, request_sha256
from service.ids import new_id
from service.problems import MEDIA_TYPE, problem_response


def _all_errors(base: type[ServiceError] = ServiceError) -> list[type[ServiceError]]:
    return [base, *(error for child in base.__subclasses__() for error in _all_errors(child))]


def test_a_problem_has_every_member_of_its_schema() -> None:
    error = ValidationFailedError(
        "two", errors=[FieldProblem("/a", "missing", "Field required", hint="add it")]
    )
    response = problem_response(error, instance="/v1/jobs")
    assert response.media_type == MEDIA_TYPE
    assert json.loads(bytes(response.body)) == {
        "type": "urn:tandem:problem:validation_failed",
        "title": "The request is not valid",
        "status": 422,
        "detail": "two",
        "instance": "/v1/jobs",
        "code": "validation_failed",
        "errors": [
            {"pointer": "/a", "code": "missing", "message": "Field required", "hint": "add it"}
        ],
        "request_id": "",
    }


def test_half_a_surrogate_pair_can_be_shown() -> None:
    problem = FieldProblem("/a", "string", "no text", value="\ud800")
    response = problem_response(ValidationFailedError("x", errors=[problem]), instance="/")
    assert json.loads(bytes(response.body))["errors"][0]["value"] == "\ud800"


def test_codes_of_errors_differ_and_titles_are_set() -> None:
    errors = [error for error in _all_errors() if not error.__name__.startswith("_")]
    assert len({error.code for error in errors}) == len(errors)
    assert all(error.title and 400 <= error.status_code < 600 for error in errors)


@given(st.lists(st.text() | st.integers(0, 9)))
def test_a_pointer_can_be_taken_apart_again(parts: list[str | int]) -> None:
    pointer = json_pointer(*parts)
    found = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    assert found == [str(part) for part in parts]


@pytest.mark.parametrize(
    ("header", "current"),
    [
        (None, False),
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ("*", True),
        ('"b"', False),
        ("", False),
    ],
)
def test_a_tag_is_compared_weakly(header: str | None, *, current: bool) -> None:
    assert is_current('"a"', header) is current


def test_ids_are_unique_and_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for milliseconds in (1_700_000_000_000, 1_700_000_000_001, 1_800_000_000_000):
        monkeypatch.setattr("service.ids.time.time_ns", lambda at=milliseconds: at * 1_000_000)
        ids += [new_id("job")]
    assert ids == sorted(ids)
    assert len({new_id("job") for _ in range(1000)}) == 1000
    assert all(len(found) == len("job_") + 26 for found in ids)


def test_the_order_of_keys_in_a_body_does_not_make_another_request() -> None:
    first = request_sha256("POST", "/v1/jobs", {"a": 1, "b": [1, 2]})
    assert first == request_sha256("POST", "/v1/jobs", {"b": [1, 2], "a": 1})
    assert first != request_sha256("POST", "/v1/jobs", {"a": 1, "b": [2, 1]})
    assert first != request_sha256("POST", "/v1/other", {"a": 1, "b": [1, 2]})


def test_a_stored_answer_is_replayed_only_to_its_own_request() -> None:
    stored = Answer(201, "/v1/jobs/x", "{}")
    again = replay(stored, stored_sha256=b"1", sha256=b"1")
    assert again.response().headers["Idempotent-Replayed"] == "true"
    with pytest.raises(IdempotencyKeyReusedError):
        replay(stored, stored_sha256=b"1", sha256=b"2")
