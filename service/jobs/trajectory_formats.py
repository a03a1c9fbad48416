"""The formats of a trajectory, and which of them a caller asks for."""

import re
from enum import StrEnum


class Format(StrEnum):
    """How the points are written."""

    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"
    ARROW = "arrow"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.NDJSON: "application/x-ndjson",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
}
_QUALITY = re.compile(r"q\s*=\s*(0(?:\.\d*)?|1(?:\.0*)?)", re.IGNORECASE)


def chosen_format(format_: str | None, accept: str) -> Format:
    """Return the format that `format=` names, else the one that `Accept` likes best.

    Among equals JSON comes first, then the order of `Format`; what is not known is not accepted,
    and a caller who accepts nothing that is known gets JSON.
    """
    if format_ is not None:
        return Format(format_)
    liked = dict[str, float]()
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        found = [match for match in map(_QUALITY.fullmatch, parameters) if match]
        liked[kind] = float(found[0][1]) if found else 1.0

    def quality(format_: Format) -> float:
        kind = MEDIA_TYPES[format_]
        for known in (kind, f"{kind.split('/')[0]}/*", "*/*"):
            if known in liked:
                return liked[known]
        return 0.0

    return max(Format, key=quality)
