"""Plan the PVs of the bit bus and the position bus: records for each row, and a table of all rows.

The records of a row are aliases of field records; only the NAME of a row is a separate record.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ...protocol import ExtOutBitsFieldInfo
from .codecs import CapturesCodec, ChoiceCodec
from .model import Model
from .record import Access, Column, Kind, Record, Table
from .rules import FieldRef

#: Name of the service that owns the tables.
BUSES = "buses"

#: Suffix of a position's record: suffix of the alias in its row of POSITIONS.
_POSITION_COLUMNS = {"SCALED": "VAL", **{part: part for part in ("SCALE", "OFFSET", "UNITS", "CAPTURE", "DATASET")}}

_TYPES = {
    "name": "str",
    "value": "f8",
    "units": "str",
    "scale": "f8",
    "offset": "f8",
    "capture": "str",
    "dataset": "str",
}

#: The columns that are read-only.
READ_ONLY_COLUMNS = ("name", "value")


@dataclass(frozen=True)
class Bus:
    """A bus as a table.

    Attributes:
        name: "BITS" or "POSITIONS"
        rows: the name of the bit or position in each row, "" for an unused row
        records: for each column except "name": the record of each row, "" for rows without one
    """

    name: str
    rows: tuple[str, ...]
    records: Mapping[str, tuple[str, ...]]

    @property
    def table(self) -> str:
        """The name of its table."""
        return f"{self.name}:TABLE"


def field_refs(model: Model) -> Iterator[FieldRef]:
    """Yield every field of every block instance."""
    for instance, name, info in model.fields():
        yield FieldRef(instance, name, info)


def planned_buses(model: Model, records: Iterable[Record]) -> list[Bus]:
    """Return the buses of a PandA that have rows.

    Args:
        model: description of the PandA
        records: all records that are served
    """
    names = {record.name for record in records}
    bits, positions = _bits(model), _positions(model)

    def known(wanted: Iterable[str]) -> tuple[str, ...]:
        return tuple(name if name in names else "" for name in wanted)

    def captures(fields: Iterable[str]) -> tuple[str, ...]:
        return known(f"{name}:TEXT" if f"{name}:TEXT" in names else name for name in fields)

    of_bits = {
        "value": known(bit.replace(".", ":") for _, bit in bits.values()),
        "capture": captures(f"{word}:CAPTURE" for word, _ in bits.values()),
        "dataset": known(f"{word}:DATASET" for word, _ in bits.values()),
    }
    of_positions = {
        column: known(f"{ref.name}:{part}" for ref in positions)
        for column, part in {"value": "SCALED", "units": "UNITS", "scale": "SCALE", "offset": "OFFSET"}.items()
    }
    of_positions["capture"] = captures(f"{ref.name}:CAPTURE" for ref in positions)
    of_positions["dataset"] = known(f"{ref.name}:DATASET" for ref in positions)
    found = [
        Bus("BITS", tuple(bit for _, bit in bits.values()), of_bits),
        Bus("POSITIONS", tuple(ref.name for ref in positions), of_positions),
    ]
    return [bus for bus in found if bus.rows]


def bus_tables(buses: Iterable[Bus], records: Iterable[Record]) -> Iterator[Table]:
    """Plan a table for each bus."""
    by_name = {record.name: record for record in records}
    for bus in buses:
        columns = [Column("name", "Name", "str")]
        for name, of_rows in bus.records.items():
            choices = _labels(by_name[next(filter(None, of_rows))]) if any(of_rows) else ()
            columns.append(Column(name, name.capitalize(), _TYPES[name], choices))
        description = f"All rows of the {bus.name} bus"
        yield Table(bus.table, description, tuple(columns), len(bus.rows), Access.READ_WRITE, bus.name, service=BUSES)


def with_rows(records: list[Record], model: Model) -> Iterator[Record]:
    """Yield the records with aliases for the rows of both buses, then the NAME records of the rows."""
    aliases: dict[str, list[str]] = {}
    rows: list[Record] = []
    for index, (word, bit) in _bits(model).items():
        aliases.setdefault(f"{word}:CAPTURE", []).append(f"BITS:{index}:CAPTURE")
        if bit:
            aliases.setdefault(bit.replace(".", ":"), []).append(f"BITS:{index}:VAL")
            rows.append(Record(f"BITS:{index}:NAME", Kind.STRINGIN, "Name of the bit", constant=bit))
    for index, ref in enumerate(_positions(model)):
        for part, column in _POSITION_COLUMNS.items():
            aliases.setdefault(f"{ref.name}:{part}", []).append(f"POSITIONS:{index}:{column}")
        rows.append(Record(f"POSITIONS:{index}:NAME", Kind.STRINGIN, "Name of the position", constant=ref.name))
    for record in records:
        yield replace(record, aliases=(*record.aliases, *aliases[record.name])) if record.name in aliases else record
    yield from rows


def _bits(model: Model) -> dict[int, tuple[str, str]]:
    """Return, by index on the bus, the field that captures a bit, and the name of the bit, "" if unused."""
    words = [ref for ref in field_refs(model) if isinstance(ref.info, ExtOutBitsFieldInfo)]
    return {
        number * 32 + offset: (word.name, bit)
        for number, word in enumerate(sorted(words, key=lambda ref: ref.source))
        for offset, bit in enumerate(getattr(word.info, "bits", ()))
    }


def _positions(model: Model) -> list[FieldRef]:
    """Return the positions in row order: by block, as pandablocks-ioc numbers them."""
    return [ref for ref in field_refs(model) if ref.info.type == "pos_out"]


def _labels(record: Record) -> tuple[str, ...]:
    return record.labels if isinstance(record.codec, ChoiceCodec | CapturesCodec) else ()
