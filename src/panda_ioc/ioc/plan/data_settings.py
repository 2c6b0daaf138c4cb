"""What only the IOC knows about captures: where files go and how they are made. A table of settings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ...capture.errors import CaptureError
from ...capture.files import check_name, check_template, checked_directory
from ...capture.options import BITS_TYPES, COMPRESSIONS, ROWS_PER_CHUNK
from ...capture.selection import MODES
from .codecs import Value
from .record import TEXT_BYTES, Access, Kind, Record

#: The service that these records belong to, and the block that they are shown as.
SERVICE = "data"
BLOCK = "DATA"

#: Samples that a live waveform may have.
MAX_POINTS = 16384

#: Rows that a chunk may have. One of few rows makes writing slow, one of many makes short files large.
MIN_CHUNK_ROWS, MAX_CHUNK_ROWS = 64, 65536

#: Times a second that the live view is made anew, at most.
MAX_LIVE_RATE = 10.0

NO_YES = ("No", "Yes")

CAPTURE_MODES = tuple(MODES)
COMPRESSION_CHOICES = tuple(COMPRESSIONS)


def _directory(value: str) -> None:
    if value:
        checked_directory(value)


def _template(value: str) -> None:
    if value:
        check_template(value)


def _name(value: str) -> None:
    if value:
        check_name(value)


def _finite(value: float) -> None:
    if not abs(value) < 1e6:
        raise CaptureError(f"{value} is no time")


@dataclass(frozen=True)
class Setting:
    """A setting.

    Attributes:
        name: of its record, without the block: "NUM_CAPTURE"
        kind: how it is served
        initial: what it is until somebody changes it
        description: what it is for
        check: raises CaptureError for what it cannot be
        labels, units, low, high, precision: as for `Record`
    """

    name: str
    kind: Kind
    initial: Value
    description: str
    check: Callable[[Any], None] = lambda _: None
    labels: tuple[str, ...] = ()
    units: str = ""
    low: float | None = None
    high: float | None = None
    precision: int | None = None


SETTINGS = (
    Setting("HDF_DIRECTORY", Kind.TEXTOUT, "", "Directory of the file", _directory),
    Setting("HDF_FILE_NAME", Kind.TEXTOUT, "", "Name of the file", _name),
    Setting("FILE_TEMPLATE", Kind.TEXTOUT, "", "Template for directory, name, number; or empty", _template),
    Setting("FILE_NUMBER", Kind.LONGOUT, 0, "Number for the template", low=0, high=2**31 - 1),
    Setting("AUTO_INCREMENT", Kind.BO, 0, "Count FILE_NUMBER up with each file", labels=NO_YES),
    Setting("CREATE_DIRECTORY", Kind.LONGOUT, 0, "Levels of directories that may be made", low=-1000, high=1000),
    Setting("NUM_CAPTURE", Kind.LONGOUT, 0, "Samples to capture, 0 for all", low=0, high=2**31 - 1),
    Setting("CAPTURE_MODE", Kind.MBBO, 0, "Which samples to capture", labels=CAPTURE_MODES),
    Setting(
        *("FLUSH_PERIOD", Kind.AO, 1.0, "Time until readers of the file see data", _finite),
        units="s",
        low=0.0,
        high=3600.0,
        precision=2,
    ),
    Setting("LAZY_OPEN", Kind.BO, 0, "Make the file when data come, not before", labels=NO_YES),
    Setting("OVERWRITE", Kind.BO, 0, "An existing file may be replaced", labels=NO_YES),
    Setting("RAW", Kind.BO, 0, "Store integers, scaling as attributes", labels=NO_YES),
    Setting("NAMED_ONLY", Kind.BO, 0, "Store only fields that have a DATASET name", labels=NO_YES),
    Setting("BITS_TYPE", Kind.MBBO, 0, "Type of bits in a file that is not raw", labels=BITS_TYPES),
    Setting(
        *("CHUNK_ROWS", Kind.LONGOUT, ROWS_PER_CHUNK, "Rows of a chunk; more for fast captures"),
        low=MIN_CHUNK_ROWS,
        high=MAX_CHUNK_ROWS,
    ),
    Setting("COMPRESSION", Kind.MBBO, 0, "How the file is compressed", labels=COMPRESSION_CHOICES),
    Setting("NEXUS", Kind.BO, 0, "Mark the data for NeXus viewers", labels=NO_YES),
    Setting("LIVE:ACQUIRE", Kind.BO, 1, "Show the last samples", labels=NO_YES),
    Setting("LIVE:NUM_POINTS", Kind.LONGOUT, 1000, "How many samples to show", low=1, high=MAX_POINTS),
    Setting(
        *("LIVE:RATE", Kind.AO, MAX_LIVE_RATE, "How often to show them", _finite),
        units="Hz",
        low=0.1,
        high=MAX_LIVE_RATE,
        precision=1,
    ),
)


#: The settings that make the path of a file.
PATH_SETTINGS = frozenset({"HDF_DIRECTORY", "HDF_FILE_NAME", "FILE_TEMPLATE", "FILE_NUMBER"})


def setting_records() -> Iterator[Record]:
    """Plan the records of all settings."""
    for setting in SETTINGS:
        yield Record(
            f"{BLOCK}:{setting.name}",
            setting.kind,
            setting.description,
            access=Access.READ_WRITE,
            block=BLOCK,
            units=setting.units,
            low=setting.low,
            high=setting.high,
            precision=setting.precision,
            labels=setting.labels,
            aliases=camel_aliases(setting.name),
            service=SERVICE,
        )


def camel_aliases(name: str) -> tuple[str, ...]:
    """The other spelling of a name: HDF_FILE_NAME is HDFFileName as well."""
    if ":" in name:
        return ()
    words = name.split("_")
    return (f"{BLOCK}:" + "".join(word if word in {"HDF", "SWMR"} else word.title() for word in words),)


class Settings:
    """The settings as they are."""

    def __init__(self) -> None:
        self._settings = {f"{BLOCK}:{setting.name}": setting for setting in SETTINGS}
        self._values: dict[str, Value] = {name: setting.initial for name, setting in self._settings.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._settings

    def __getitem__(self, name: str) -> Any:
        """What a setting is, by its name without the block."""
        return self._values[f"{BLOCK}:{name}"]

    def values(self) -> dict[str, Value]:
        """All settings, by the names of their records."""
        return dict(self._values)

    def of_captures(self) -> list[str]:
        """The names of the records of all settings that captures into files have, without those of the live view."""
        return [name for name in self._settings if not name.startswith(f"{BLOCK}:LIVE:")]

    def put(self, name: str, value: Value) -> None:
        """Change a setting, by the name of its record.

        Raises:
            CaptureError: it cannot be that
        """
        setting = self._settings[name]
        _check_type(setting, value)
        setting.check(value)
        if setting.low is not None and setting.high is not None and not setting.low <= float(value) <= setting.high:
            raise CaptureError(
                f"{value} is not from {setting.low:.10g} to {setting.high:.10g} {setting.units}".rstrip()
            )
        self._values[name] = value


def _check_type(setting: Setting, value: object) -> None:
    """What was kept in a file may be anything."""
    if setting.kind.is_text:
        if not isinstance(value, str) or len(value.encode(errors="replace")) >= TEXT_BYTES:
            raise CaptureError(f"{str(value)[:80]!r} is no text of less than {TEXT_BYTES} bytes")
    elif not isinstance(value, int | float):
        raise CaptureError(f"{str(value)[:80]!r} is no number")
    elif setting.kind.is_choice and value not in range(len(setting.labels)):
        raise CaptureError(f"there is no choice {value}, only 0 to {len(setting.labels) - 1}")
