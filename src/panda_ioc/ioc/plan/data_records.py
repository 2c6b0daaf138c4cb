"""Plan the PVs of data capture: actions, readbacks, the dataset table, the live view."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .data_settings import BLOCK, MAX_POINTS, NO_YES, SERVICE, camel_aliases, setting_records
from .model import Model
from .record import Access, Column, Kind, Record, Table

CAPTURE = "DATA:CAPTURE"
ACQUIRE = "DATA:ACQUIRE"
FLUSH_NOW = "DATA:FLUSH_NOW"
DATASETS = "DATA:DATASETS"
LIVE = "DATA:LIVE"

#: Maximum rows of DATASETS: every field of the largest PandA with every capture option.
MAX_DATASETS = 1024

#: Statistics of the live samples: suffix of the record, attribute of the statistics object.
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
    _Readback("HDF_FULL_FILE_PATH", Kind.TEXTIN, "Path of the current or next file"),
    _Readback("DIRECTORY_EXISTS", Kind.BI, "Directory of the file exists", labels=NO_YES),
    _Readback("STATUS", Kind.TEXTIN, "Status of the capture"),
    _Readback("WRITE_STATUS", Kind.MBBI, "Result of the last capture", labels=("OK", "ERROR")),
    _Readback("WRITE_MESSAGE", Kind.TEXTIN, "Error message of the last capture"),
    _Readback("NUM_CAPTURED", Kind.LONGIN, "Samples flushed to the file"),
    _Readback("NUM_RECEIVED", Kind.LONGIN, "Samples received in the capture"),
    _Readback("NUM_ACQUISITIONS", Kind.LONGIN, "Acquisitions in the capture"),
    _Readback("END_REASON", Kind.STRINGIN, "Why the last acquisition ended"),
    _Readback("MISSED", Kind.LONGIN, "Samples missed before the capture began"),
    _Readback("DROPPED", Kind.LONGIN, "Samples captured but not received"),
    _Readback("QUEUE_USE", Kind.AI, "Fill level of the disk write queue", units="%", precision=1),
    _Readback("SWMR_ACTIVE", Kind.BI, "File can be read while written (SWMR)", labels=NO_YES),
    _Readback("NUM_PER_CHUNK", Kind.LONGIN, "Rows per chunk of the file"),
    _Readback("RATE", Kind.AI, "Rate of received samples", units="1/s", precision=0),
    _Readback("BYTE_RATE", Kind.AI, "Rate of received data", units="MB/s", precision=3),
    _Readback("CONNECTION", Kind.MBBI, "Data connection to the PandA", labels=CONNECTION_STATES),
    _Readback("LIVE:NUM_SAMPLES", Kind.LONGIN, "Samples in the acquisition so far"),
    _Readback("LIVE:CURRENT_POINT", Kind.LONGIN, "Number of samples in the live view"),
    _Readback("LIVE:TIME", Kind.ARRAYIN, "Time axis of the live view", length=MAX_POINTS, dtype="f8"),
    _Readback("LIVE:TIME_SOURCE", Kind.STRINGIN, "Source of the live view's time axis"),
    _Readback("LIVE:MESSAGE", Kind.TEXTIN, "Why the live view has no new samples"),
)


def data_records(prefix: str) -> Iterator[Record]:
    """Plan the records under DATA: capture to files, and the parts of the live view that all fields share."""
    yield Record(
        *(CAPTURE, Kind.BO, "Start or stop capturing to a file"),
        **_ours(Access.READ_WRITE),
        labels=("0", "1"),
        aliases=camel_aliases("CAPTURE"),
    )
    yield Record(
        *(ACQUIRE, Kind.BO, "Arm PCAP, wait until acquisition ends"),
        **_ours(Access.READ_WRITE),
        labels=("Done", "Acquire"),
        at_once=True,  # a put of 0 stops the acquisition that the put of 1 waits for
    )
    yield Record(*(FLUSH_NOW, Kind.BO, "Flush all samples to the file now"), **_ours(Access.EXECUTE), labels=("", ""))
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
            *(f"{DATASETS}:{name}", Kind.ARRAYIN, f"Datasets of the file: {column}"),
            **_ours(Access.READ),
            dtype="str",
            length=MAX_DATASETS,
        )
    yield Record(
        *(f"{DATASETS}:PV", Kind.TEXTIN, "Name of the table for PV Access"),
        constant=f"{prefix}:{DATASETS}",
        service=SERVICE,
    )


def _ours(access: Access) -> dict[str, Any]:
    return {"access": access, "block": BLOCK, "service": SERVICE}


def data_tables() -> Iterator[Table]:
    """Plan the tables: the datasets of a file, and the live samples of all columns."""
    columns = (Column("name", "Name", "str"), Column("dtype", "Type", "str"))
    yield Table(DATASETS, "Datasets of the file", columns, MAX_DATASETS, block=BLOCK, service=SERVICE)
    yield Table(LIVE, "Live view: last samples of all columns", (), MAX_POINTS, block=BLOCK, service=SERVICE)


def live_records(model: Model) -> Iterator[Record]:
    """Plan the live samples and their statistics for each field that can be captured."""
    for instance, field, info in model.fields():
        if info.type not in {"pos_out", "ext_out"}:
            continue
        name = f"{instance}:{field}:LIVE"
        common: dict[str, Any] = {"block": instance, "service": SERVICE}
        yield Record(name, Kind.ARRAYIN, "Live view: last samples, scaled", dtype="f8", length=MAX_POINTS, **common)
        for part in STATISTICS:
            yield Record(f"{name}:{part}", Kind.AI, f"{part} of the samples in the live view", precision=6, **common)
