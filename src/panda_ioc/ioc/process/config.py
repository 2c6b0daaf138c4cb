"""The configuration of an IOC: one YAML file; environment variables and command line options override it.

    prefix: BL01T-EA-PANDA-01
    panda:
      host: 172.23.252.201
    data:
      roots: [/dls/i01/data]

Only `prefix` and `panda.host` are required. `panda-ioc schema` prints the JSON schema.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, field
from msgspec.structs import force_setattr

from ...protocol import ChangeGroup
from ...validation import Checked, InvalidError, Problem, rule
from ..link.timetable import PERIODS
from ..plan.names import PREFIX_PATTERN, prefix_problem

#: Limits of poll periods in s.
SHORTEST_PERIOD, LONGEST_PERIOD = 0.005, 60.0

_LEVELS = ("debug", "put", "info", "warning", "error")
_GROUPS = tuple(group.name for group in PERIODS)


def _in_any_case(*words: str) -> str:
    """Return a regular expression that matches words without regard to case."""
    return "^(" + "|".join("".join(f"[{x.lower()}{x.upper()}]" for x in word) for word in words) + r")$(?!\n)"


def _about(text: str) -> Meta:
    return Meta(description=text)


_Port = Annotated[int, Meta(ge=1, le=65535)]
_Prefix = Annotated[str, rule(prefix_problem, pattern=PREFIX_PATTERN)]
_AbsolutePath = Annotated[Path, Meta(extra_json_schema={"pattern": "^/"})]
_Group = Annotated[
    str, rule(lambda name: f"unknown group {name}: use {', '.join(_GROUPS)}", pattern=_in_any_case(*_GROUPS))
]
_Period = Annotated[
    float,
    rule(f"a poll period must be {SHORTEST_PERIOD} to {LONGEST_PERIOD:g} s", ge=SHORTEST_PERIOD, le=LONGEST_PERIOD),
]
_LogLevel = Annotated[
    str,
    rule(
        lambda level: f"must be {', '.join(_LEVELS[:-1])} or {_LEVELS[-1]}, not {level!r}",
        pattern=_in_any_case(*_LEVELS),
        extra_json_schema={"anyOf": [{"enum": list(_LEVELS)}, {}]},  # editors offer the enum
    ),
]


class PandaConfig(Checked):
    """The connection to the PandA."""

    host: Annotated[str, rule("must not be empty", min_length=1), _about("Name or address of the PandA.")]
    control_port: Annotated[_Port, _about("Port of the control server of the PandA.")] = 8888
    data_port: Annotated[_Port, _about("Port of the data server of the PandA.")] = 8889


class DataConfig(Checked):
    """Limits of captures."""

    roots: Annotated[
        tuple[_AbsolutePath, ...], _about("Directories in which captures may write files; none: anywhere.")
    ] = ()

    def __post_init__(self) -> None:
        if bad := [(place, root) for place, root in enumerate(self.roots) if not root.is_absolute()]:
            raise InvalidError(*(Problem(("roots", place), f"{root} is not an absolute path") for place, root in bad))


class StateConfig(Checked):
    """State on disk between runs."""

    directory: Annotated[
        Path | None,
        _about(
            "Directory for autosaved DATA settings and the cached description of the PandA; none: nothing is saved."
        ),
    ] = None


class DesignsConfig(Checked):
    """Designs: complete settings of the PandA, saved by name."""

    directory: Annotated[Path | None, _about("Directory of the designs; none: there are no DESIGN records.")] = None


class ScreensConfig(Checked):
    """Screens for Phoebus."""

    directory: Annotated[Path | None, _about("Directory to write screens to at startup; none: no screens.")] = None
    clear: Annotated[bool, _about("Remove generated, unchanged screens that this PandA does not need.")] = False


class PviConfig(Checked):
    """The PVI tables, in which ophyd-async finds the PVs."""

    compatible: Annotated[
        bool, _about("List only the PVs that pandablocks-ioc lists, so that settings stored here load there.")
    ] = False
    write_only: Annotated[
        Literal["rw", "w"],
        _about(
            "PVI access of write-only fields, such as INENC:SETP: "
            "rw as in pandablocks-ioc; w excludes them from stored settings."
        ),
    ] = "rw"


class AccessConfig(Checked):
    """Access control for puts."""

    read_only: Annotated[bool, _about("Refuse every put.")] = False
    file: Annotated[Path | None, _about("EPICS access security file for Channel Access and PV Access.")] = None
    all_fields: Annotated[
        bool, _about("Without a file: allow puts to all fields of records, not only to those for operators.")
    ] = False


class HttpConfig(Checked):
    """Prometheus metrics and health checks over HTTP."""

    port: Annotated[
        Annotated[int, Meta(ge=0, le=65535)] | None, _about("Port for metrics and health checks; none: no HTTP.")
    ] = None
    host: Annotated[str, _about("Address to listen on; 0.0.0.0 for all interfaces.")] = "127.0.0.1"


class Config(Checked):
    """The configuration of an IOC."""

    prefix: Annotated[_Prefix, _about("Prefix of all PV names, without the last colon.")]
    panda: PandaConfig
    poll: Annotated[dict[_Group, _Period], _about("Poll periods in s by group of changes.")] = field(
        default_factory=dict
    )
    data: DataConfig = DataConfig()
    state: StateConfig = StateConfig()
    designs: DesignsConfig = DesignsConfig()
    screens: ScreensConfig = ScreensConfig()
    pvi: PviConfig = PviConfig()
    access: AccessConfig = AccessConfig()
    http: HttpConfig = HttpConfig()
    console: Annotated[bool, _about("Read EPICS shell commands, such as dbl(), from standard input.")] = False
    log_level: Annotated[_LogLevel, _about("Log level.")] = "info"

    def __post_init__(self) -> None:
        """Write names of groups and of the log level in one case."""
        first: dict[str, str] = {}
        for name in self.poll:
            if (before := first.setdefault(name.upper(), name)) != name:
                raise InvalidError(Problem(("poll",), f"{before} and {name} are the same group"))
        force_setattr(self, "poll", {name.upper(): period for name, period in self.poll.items()})
        force_setattr(self, "log_level", self.log_level.lower())

    @property
    def periods(self) -> dict[ChangeGroup, float]:
        """Poll period of each group in s."""
        return {**PERIODS, **{ChangeGroup[name]: period for name, period in self.poll.items()}}


def merged(config: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge two configurations, both as read from YAML; values of `over` override those of `config`.

    A value of None overrides nothing. Sections with a wrong type are returned unchanged, so that validation reports
    them. Names are compared without regard to case, as for the groups of `poll`.
    """
    result = dict(config)
    for name, value in over.items():
        key = next((known for known in result if str(known).upper() == name.upper()), name)
        if isinstance(value, dict):
            under = result.get(key)
            if isinstance(under, dict | None) and (inside := merged(under or {}, value)):
                result[key] = inside
        elif value is not None:
            result[key] = value
    return result
