"""The base of every model that crosses a border: frozen, strict about names, no NaN."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Contract(BaseModel):
    """Immutable; unknown fields are refused; NaN and infinity never enter JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def evolve(self, **changes: object) -> Self:
        """Return a copy with `changes`, validated again (`model_copy` would not validate).

        What was not set stays unset, so that a preset may still fill it in.
        """
        return type(self).model_validate(self.model_dump(exclude_unset=True) | changes)
