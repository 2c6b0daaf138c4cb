"""The records of designs."""

from collections.abc import Iterator
from typing import Any

from .record import Access, Kind, Record

SERVICE = "designs"

NAME, SAVE, LOAD = "DESIGN:NAME", "DESIGN:SAVE", "DESIGN:LOAD"
LIST, STATUS, LOADED = "DESIGN:LIST", "DESIGN:STATUS", "DESIGN:LOADED"

#: Names that the list of designs holds.
MOST_DESIGNS = 1000


def design_records() -> Iterator[Record]:
    """Plan the records."""
    ours: dict[str, Any] = {"block": "DESIGN", "service": SERVICE}
    yield Record(NAME, Kind.TEXTOUT, "Name of a design", access=Access.READ_WRITE, **ours)
    for name, description in ((SAVE, "Save all settings under the name"), (LOAD, "Load the settings of that name")):
        yield Record(name, Kind.BO, description, access=Access.EXECUTE, labels=("", ""), **ours)
    yield Record(LIST, Kind.ARRAYIN, "The designs that there are", dtype="str", length=MOST_DESIGNS, **ours)
    yield Record(STATUS, Kind.TEXTIN, "What became of the last save or load", **ours)
    yield Record(LOADED, Kind.TEXTIN, "The design that was loaded last", **ours)
