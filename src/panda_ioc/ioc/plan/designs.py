"""Plan the records to save, load and compare designs (all settings of a PandA, as a file)."""

from collections.abc import Iterator
from typing import Any

from .record import Access, Kind, Record

SERVICE = "designs"

NAME, SAVE, LOAD, COMPARE = "DESIGN:NAME", "DESIGN:SAVE", "DESIGN:LOAD", "DESIGN:COMPARE"
LIST, STATUS, LOADED, DIFF = "DESIGN:LIST", "DESIGN:STATUS", "DESIGN:LOADED", "DESIGN:DIFF"
SKIP_UNKNOWN, LEFT_OUT = "DESIGN:SKIP_UNKNOWN", "DESIGN:LEFT_OUT"

#: Maximum names in LIST.
MAX_DESIGNS = 1000

#: Maximum entries of DIFF.
MAX_DIFFERENCES = 1000

_ACTIONS = {
    SAVE: "Save all settings as design NAME",
    LOAD: "Load the settings of design NAME",
    COMPARE: "Compare the PandA with design NAME",
}
#: Maximum entries of LEFT_OUT.
MAX_LEFT_OUT = 2000


def design_records() -> Iterator[Record]:
    """Plan the records of designs."""
    ours: dict[str, Any] = {"block": "DESIGN", "service": SERVICE}
    yield Record(NAME, Kind.TEXTOUT, "Design to save, load or compare", access=Access.READ_WRITE, **ours)
    for name, description in _ACTIONS.items():
        yield Record(name, Kind.BO, description, access=Access.EXECUTE, labels=("", ""), **ours)
    yield Record(LIST, Kind.ARRAYIN, "Names of the saved designs", dtype="str", length=MAX_DESIGNS, **ours)
    yield Record(STATUS, Kind.TEXTIN, "Result of the last save, load, compare", **ours)
    yield Record(LOADED, Kind.TEXTIN, "Name of the last loaded design", **ours)
    yield Record(DIFF, Kind.ARRAYIN, "Differences from design to PandA", dtype="str", length=MAX_DIFFERENCES, **ours)
    skip = "Skip settings that the PandA lacks"
    yield Record(SKIP_UNKNOWN, Kind.BO, skip, access=Access.READ_WRITE, labels=("No", "Yes"), **ours)
    left_out = "Settings skipped by last load, and why"
    yield Record(LEFT_OUT, Kind.ARRAYIN, left_out, dtype="str", length=MAX_LEFT_OUT, **ours)
