"""The records of designs."""

from collections.abc import Iterator
from typing import Any

from .record import Access, Kind, Record

SERVICE = "designs"

NAME, SAVE, LOAD, COMPARE = "DESIGN:NAME", "DESIGN:SAVE", "DESIGN:LOAD", "DESIGN:COMPARE"
LIST, STATUS, LOADED, DIFF = "DESIGN:LIST", "DESIGN:STATUS", "DESIGN:LOADED", "DESIGN:DIFF"
SKIP_UNKNOWN, LEFT_OUT = "DESIGN:SKIP_UNKNOWN", "DESIGN:LEFT_OUT"

#: Names that the list of designs holds.
MAX_DESIGNS = 1000

#: Differences that are listed.
MAX_DIFFERENCES = 1000

_ACTIONS = {
    SAVE: "Save all settings under the name",
    LOAD: "Load the settings of that name",
    COMPARE: "Compare the PandA with that name",
}
#: Settings that the list of what was left out holds.
MAX_LEFT_OUT = 2000


def design_records() -> Iterator[Record]:
    """Plan the records."""
    ours: dict[str, Any] = {"block": "DESIGN", "service": SERVICE}
    yield Record(NAME, Kind.TEXTOUT, "Name of a design", access=Access.READ_WRITE, **ours)
    for name, description in _ACTIONS.items():
        yield Record(name, Kind.BO, description, access=Access.EXECUTE, labels=("", ""), **ours)
    yield Record(LIST, Kind.ARRAYIN, "The designs that there are", dtype="str", length=MAX_DESIGNS, **ours)
    yield Record(STATUS, Kind.TEXTIN, "What became of the last save, load, compare", **ours)
    yield Record(LOADED, Kind.TEXTIN, "The design that was loaded last", **ours)
    yield Record(
        DIFF, Kind.ARRAYIN, "From the design to the PandA as it is", dtype="str", length=MAX_DIFFERENCES, **ours
    )
    skip = "Load without what the PandA does not have"
    yield Record(SKIP_UNKNOWN, Kind.BO, skip, access=Access.READ_WRITE, labels=("No", "Yes"), **ours)
    left_out = "What the last load left out, and why"
    yield Record(LEFT_OUT, Kind.ARRAYIN, left_out, dtype="str", length=MAX_LEFT_OUT, **ours)
