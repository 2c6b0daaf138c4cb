"""The settings of data capture, which exist in the IOC only: file path, file format, limits, live view."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ...capture.errors import CaptureError
from ...capture.files import check_name, check_template, checked_directory
from ...capture.options import BITS_TYPES, COMPRESSIONS, ROWS_PER_CHUNK
from ...capture.selection import MODES
from .codecs import Value
from .record import TEXT_BYTES, Access, Kind, Record

#: The service that owns the records, and the block name in the records.
SERVICE = "data"
BLOCK = "DATA"

#: Maximum samples of a live waveform.
MAX_POINTS = 16384

#: Limits of CHUNK_ROWS: small chunks make writing slow, large chunks make short files large.
MIN_CHUNK_ROWS, MAX_CHUNK_ROWS = 64, 65536

#: Maximum update rate of the live view in Hz.
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
        raise CaptureError(f"{value} is out of range")


@dataclass(frozen=True)
class Setting:
    """A setting of data capture.

    Attributes:
        name: name of its record without the block: "NUM_CAPTURE"
        kind: kind of its record
        initial: default value
        description: description of the record
        check: function that raises CaptureError for an invalid value
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
    Setting("HDF_DIRECTORY", Kind.TEXTOUT, "", "Directory for HDF5 files", _directory),
    Setting("HDF_FILE_NAME", Kind.TEXTOUT, "", "Name of the HDF5 file", _name),
    Setting("FILE_TEMPLATE", Kind.TEXTOUT, "", "Path template: directory, name, number", _template),
    Setting("FILE_NUMBER", Kind.LONGOUT, 0, "File number for FILE_TEMPLATE", low=0, high=2**31 - 1),
    Setting("AUTO_INCREMENT", Kind.BO, 0, "Increment FILE_NUMBER with each file", labels=NO_YES),
    Setting("CREATE_DIRECTORY", Kind.LONGOUT, 0, "Directory levels that may be created", low=-1000, high=1000),
    Setting("NUM_CAPTURE", Kind.LONGOUT, 0, "Samples to capture, 0 for no limit", low=0, high=2**31 - 1),
    Setting("CAPTURE_MODE", Kind.MBBO, 0, "Which samples to capture", labels=CAPTURE_MODES),
    Setting(
        *("FLUSH_PERIOD", Kind.AO, 1.0, "Interval between flushes to the file", _finite),
        units="s",
        low=0.0,
        high=3600.0,
        precision=2,
    ),
    Setting("LAZY_OPEN", Kind.BO, 0, "Create the file when data arrive", labels=NO_YES),
    Setting("OVERWRITE", Kind.BO, 0, "Allow replacing an existing file", labels=NO_YES),
    Setting("RAW", Kind.BO, 0, "Store integers, scaling in attributes", labels=NO_YES),
    Setting("NAMED_ONLY", Kind.BO, 0, "Store only fields with a DATASET name", labels=NO_YES),
    Setting("BITS_TYPE", Kind.MBBO, 0, "Data type of bits if RAW is No", labels=BITS_TYPES),
    Setting(
        *("CHUNK_ROWS", Kind.LONGOUT, ROWS_PER_CHUNK, "Rows per chunk; more for fast captures"),
        low=MIN_CHUNK_ROWS,
        high=MAX_CHUNK_ROWS,
    ),
    Setting("COMPRESSION", Kind.MBBO, 0, "Compression of the file", labels=COMPRESSION_CHOICES),
    Setting("NEXUS", Kind.BO, 0, "Add NeXus attributes for viewers", labels=NO_YES),
    Setting("LIVE:ACQUIRE", Kind.BO, 1, "Update the live view", labels=NO_YES),
    Setting("LIVE:NUM_POINTS", Kind.LONGOUT, 1000, "Number of samples in the live view", low=1, high=MAX_POINTS),
    Setting(
        *("LIVE:RATE", Kind.AO, MAX_LIVE_RATE, "Update rate of the live view", _finite),
        units="Hz",
        low=0.1,
        high=MAX_LIVE_RATE,
        precision=1,
    ),
)


#: The settings that determine the path of a file.
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
    """Return the camel-case alias of a name: HDFFileName for HDF_FILE_NAME."""
    if ":" in name:
        return ()
    words = name.split("_")
    return (f"{BLOCK}:" + "".join(word if word in {"HDF", "SWMR"} else word.title() for word in words),)


class Settings:
    """The current values of the settings."""

    def __init__(self) -> None:
        self._settings = {f"{BLOCK}:{setting.name}": setting for setting in SETTINGS}
        self._values: dict[str, Value] = {name: setting.initial for name, setting in self._settings.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._settings

    def __getitem__(self, name: str) -> Any:
        """Return the value of a setting, by its name without the block."""
        return self._values[f"{BLOCK}:{name}"]

    def values(self) -> dict[str, Value]:
        """Return all values, by the names of their records."""
        return dict(self._values)

    def of_captures(self) -> list[str]:
        """Return the record names of the settings for captures to files, so without the live view."""
        return [name for name in self._settings if not name.startswith(f"{BLOCK}:LIVE:")]

    def put(self, name: str, value: Value) -> None:
        """Change a setting, by the name of its record.

        Raises:
            CaptureError: the value is not valid
        """
        setting = self._settings[name]
        _check_type(setting, value)
        setting.check(value)
        if setting.low is not None and setting.high is not None and not setting.low <= float(value) <= setting.high:
            raise CaptureError(
                f"{value} is out of range {setting.low:.10g} to {setting.high:.10g} {setting.units}".rstrip()
            )
        self._values[name] = value


def _check_type(setting: Setting, value: object) -> None:
    """Check the type of a value, which may come from an autosave file that was edited."""
    if setting.kind.is_text:
        if not isinstance(value, str) or len(value.encode(errors="replace")) >= TEXT_BYTES:
            raise CaptureError(f"{str(value)[:80]!r} is not a text of less than {TEXT_BYTES} bytes")
    elif not isinstance(value, int | float):
        raise CaptureError(f"{str(value)[:80]!r} is not a number")
    elif setting.kind.is_choice and value not in range(len(setting.labels)):
        raise CaptureError(f"choice {value} does not exist: valid choices are 0 to {len(setting.labels) - 1}")
