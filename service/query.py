"""Query parameters that an endpoint does not have: a typing mistake is no wish for everything."""

from difflib import get_close_matches

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from service.errors import FieldProblem, ValidationFailedError


def refuse_unknown_query(request: Request) -> None:
    """Check the names in the query of a request.

    Raises:
        ValidationFailedError: the endpoint does not have one of them.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = _known(route.dependant)
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if not unknown:
        return
    listed = ", ".join(sorted(known)) or "none"
    raise ValidationFailedError(
        "the query has parameters that this endpoint does not have; see `errors`",
        errors=[
            FieldProblem(
                pointer=f"query:{name[:100]}",
                code="unknown_parameter",
                message="this endpoint has no such parameter",
                value=request.query_params[name][:100],
                hint=_hint(name, known, listed),
            )
            for name in unknown[:20]
        ],
    )


def _known(dependant: Dependant) -> set[str]:
    names: set[str] = set()
    for below in dependant.dependencies:
        names |= _known(below)
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            names |= {info.alias or name for name, info in model.model_fields.items()}
        else:
            names.add(field.alias)
    return names


def _hint(name: str, known: set[str], listed: str) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"it has: {listed}"
