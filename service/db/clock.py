"""Times on the database's clock: the workers' clocks may disagree, this one is alone."""

from datetime import datetime

from sqlalchemy import ColumnElement, func
from sqlalchemy.orm import InstrumentedAttribute


def from_now(
    seconds: float | ColumnElement[float] | InstrumentedAttribute[float],
) -> ColumnElement[datetime]:
    """Return the SQL for the time `seconds` from now; negative is the past."""
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
