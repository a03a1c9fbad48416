"""What is checked of a request before anything is written: text, specification, files."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.context import Context
from service.datasets.inspection import inspect
from service.error_handlers import json_pointer
from service.errors import FieldProblem, ValidationFailedError
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import InvalidSpecError


def refuse_nul(body: Any) -> None:
    """Check that no text of a body holds a NUL character, which Postgres cannot store.

    Raises:
        ValidationFailedError: some does; all places are listed.
    """
    problems = [
        FieldProblem(
            pointer, "nul_character", "the text holds a NUL character", hint="remove the NUL"
        )
        for pointer in _with_nul(body, ())
    ]
    if problems:
        raise ValidationFailedError("text with NUL cannot be stored", errors=problems)


def _with_nul(value: Any, place: tuple[str | int, ...]) -> Iterator[str]:
    if isinstance(value, str) and "\0" in value:
        yield json_pointer(*place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _with_nul(item, (*place, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            if "\0" in name:
                yield json_pointer(*place, name)
            yield from _with_nul(item, (*place, name))


def refused(error: InvalidSpecError, *place: str) -> ValidationFailedError:
    """Return the engine's complaint about a specification that stands at `place` in a body."""
    parts = error.field.split(".") if error.field else []
    problem = FieldProblem(
        json_pointer(*place, *parts), error.code, error.message, error.value, error.hint
    )
    return ValidationFailedError(error.message, errors=[problem])


def check_files(
    context: Context, spec: JobSpec, sent: Mapping[str, Any], *, place: str = "/spec"
) -> None:
    """Check the files of a resolved specification.

    Args:
        context: The application's.
        spec: The specification.
        sent: The same as it was sent, for pointers.
        place: Pointer to it in the body.

    Raises:
        ValidationFailedError: a file is missing, not allowed, malformed or too small.
    """
    positions = {
        source["name"]: index
        for section in ("domains", "targets")
        for index, source in enumerate(sent.get(section) or [])
    }
    problems = inspect(spec, positions, context.settings.access, place=place)
    if not problems:
        return
    codes = {problem.code for problem in problems}
    raise ValidationFailedError(
        "; ".join(problem.message for problem in problems[:3])
        + (f"; and {len(problems) - 3} more in `errors`" if len(problems) > 3 else ""),  # noqa: PLR2004
        # One kind of mistake gets its own code; of several, the list tells.
        code=codes.pop() if len(codes) == 1 else "datasets_invalid",
        errors=problems,
    )
