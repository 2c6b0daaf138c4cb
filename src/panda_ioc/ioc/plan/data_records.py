"""The records about captured data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .data_settings import BLOCK, MOST_POINTS, NO_YES, SERVICE, camel_aliases, setting_records
from .model import Model
from .record import Access, Column, Kind, Record, Table

CAPTURE = "DATA:CAPTURE"
ACQUIRE = "DATA:ACQUIRE"
FLUSH_NOW = "DATA:FLUSH_NOW"
DATASETS = "DATA:DATASETS"
LIVE = "DATA:LIVE"

#: Rows of DATASETS: every field of the largest PandA with every capture.
MOST_DATASETS = 1024

#: What is shown of the live samples of a field, as attributes of its statistics.
STATISTICS = {"MEAN": "mean", "STDDEV": "deviation", "MIN": "minimum", "MAX": "maximum", "LAST": "last"}

CONNECTION_STATES = ("NOT CONNECTED", "CONNECTED")


@dataclass(frozen=True)
class _Readback:
    name: str
    kind: Kind
    description: str
    units: str = ""
    precision: int | None = None
    labels: tuple[str, ...] = ()
    length: int = 0
    dtype: str = ""


_READBACKS = (
    _Readback("HDF_FULL_FILE_PATH", Kind.TEXTIN, "Path of the file, or of the next one"),
    _Readback("DIRECTORY_EXISTS", Kind.BI, "Whether the directory exists", labels=NO_YES),
    _Readback("STATUS", Kind.TEXTIN, "How the capture goes, in words"),
    _Readback("WRITE_STATUS", Kind.MBBI, "Whether the last capture went well", labels=("OK", "ERROR")),
    _Readback("WRITE_MESSAGE", Kind.TEXTIN, "What went wrong with it"),
    _Readback("NUM_CAPTURED", Kind.LONGIN, "Samples flushed to the file"),
    _Readback("NUM_RECEIVED", Kind.LONGIN, "Samples that came during the capture"),
    _Readback("NUM_ACQUISITIONS", Kind.LONGIN, "Acquisitions of the capture"),
    _Readback("END_REASON", Kind.STRINGIN, "Why the last acquisition ended"),
    _Readback("MISSED", Kind.LONGIN, "Samples before the capture began"),
    _Readback("DROPPED", Kind.LONGIN, "Samples captured that did not come"),
    _Readback("QUEUE_USE", Kind.AI, "How full the queue for the disk is", units="%", precision=1),
    _Readback("SWMR_ACTIVE", Kind.BI, "Whether the file can be read as it grows", labels=NO_YES),
    _Readback("NUM_PER_CHUNK", Kind.LONGIN, "Rows of a chunk in the file"),
    _Readback("RATE", Kind.AI, "Samples that come in a second", units="1/s", precision=0),
    _Readback("BYTE_RATE", Kind.AI, "Bytes that come in a second", units="MB/s", precision=3),
    _Readback("CONNECTION", Kind.MBBI, "Connection for data", labels=CONNECTION_STATES),
    _Readback("LIVE:NUM_SAMPLES", Kind.LONGIN, "Samples of the acquisition so far"),
    _Readback("LIVE:CURRENT_POINT", Kind.LONGIN, "Samples that are shown"),
    _Readback("LIVE:TIME", Kind.ARRAYIN, "When each of them was taken", length=MOST_POINTS, dtype="f8"),
    _Readback("LIVE:TIME_SOURCE", Kind.STRINGIN, "What tells the time"),
    _Readback("LIVE:MESSAGE", Kind.TEXTIN, "Why nothing, or nothing new, is shown"),
)


def data_records(prefix: str) -> Iterator[Record]:
    """Plan the records about files, and what the live view has once for all fields."""
    yield Record(
        *(CAPTURE, Kind.BO, "Capture into a file"),
        **_ours(Access.READ_WRITE),
        labels=("0", "1"),
        aliases=camel_aliases("CAPTURE"),
    )
    yield Record(
        *(ACQUIRE, Kind.BO, "Arm and wait for the end of the acquisition"),
        **_ours(Access.READ_WRITE),
        labels=("Done", "Acquire"),
        at_once=True,  # 0 ends what the put of 1 waits for
    )
    yield Record(*(FLUSH_NOW, Kind.BO, "Let readers of the file see all now"), **_ours(Access.EXECUTE), labels=("", ""))
    yield from setting_records()
    for readback in _READBACKS:
        yield Record(
            f"{BLOCK}:{readback.name}",
            readback.kind,
            readback.description,
            **_ours(Access.READ),
            units=readback.units,
            precision=readback.precision,
            labels=readback.labels,
            length=readback.length,
            dtype=readback.dtype,
            aliases=camel_aliases(readback.name),
        )
    for name, column in (("Name", "names"), ("DType", "types"), ("LABELS", "headings")):
        yield Record(
            *(f"{DATASETS}:{name}", Kind.ARRAYIN, f"The datasets of the file: their {column}"),
            **_ours(Access.READ),
            dtype="str",
            length=MOST_DATASETS,
        )
    yield Record(
        *(f"{DATASETS}:PV", Kind.TEXTIN, "Name of the table"), constant=f"{prefix}:{DATASETS}", service=SERVICE
    )


def _ours(access: Access) -> dict[str, Any]:
    return {"access": access, "block": BLOCK, "service": SERVICE}


def data_tables() -> Iterator[Table]:
    """Plan the tables: the datasets of a file, and the live samples of all columns."""
    columns = (Column("name", "Name", "str"), Column("dtype", "Type", "str"))
    yield Table(DATASETS, "The datasets that a file will have", columns, MOST_DATASETS, block=BLOCK, service=SERVICE)
    yield Table(LIVE, "The last samples of all columns", (), MOST_POINTS, block=BLOCK, service=SERVICE)


def live_records(model: Model) -> Iterator[Record]:
    """Plan the live samples of each field that can be captured, with what can be told of them."""
    for instance, field, info in model.fields():
        if info.type not in {"pos_out", "ext_out"}:
            continue
        name = f"{instance}:{field}:LIVE"
        common: dict[str, Any] = {"block": instance, "service": SERVICE}
        yield Record(
            name, Kind.ARRAYIN, "Its last captured samples, in units", dtype="f8", length=MOST_POINTS, **common
        )
        for part in STATISTICS:
            yield Record(f"{name}:{part}", Kind.AI, f"{part} of the samples shown", precision=6, **common)
