"""The configuration of an IOC: one YAML file; environment variables and command line options override it.

    prefix: BL01T-EA-PANDA-01
    panda:
      host: 172.23.252.201
    data:
      roots: [/dls/i01/data]

Only `prefix` and `panda.host` are required. `panda-ioc schema` prints the JSON schema.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator

from ...protocol import ChangeGroup
from ..link.timetable import PERIODS
from ..plan.names import PREFIX_PATTERN, prefix_problem

#: Limits of poll periods in s.
SHORTEST_PERIOD, LONGEST_PERIOD = 0.005, 60.0


_Level = Literal["debug", "put", "info", "warning", "error"]


def _good_prefix(prefix: str) -> str:
    if problem := prefix_problem(prefix):
        raise ValueError(problem)
    return prefix


def _not_empty(path: object) -> object:
    if path == "":  # Path("") is the working directory
        raise ValueError("a path must not be empty")
    return path


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _in_any_case(words: tuple[str, ...]) -> str:
    """Return a regular expression that matches words without regard to case."""
    return "^(" + "|".join("".join(f"[{x}{x.upper()}]" for x in word) for word in words) + ")$"


# Strict types: no coercion between str, bool and numbers.
_Flag = Annotated[bool, Field(strict=True)]
_Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
_PortOrAny = Annotated[int, Field(strict=True, ge=0, le=65535)]
_Seconds = Annotated[float, Field(strict=True)]
_Prefix = Annotated[str, AfterValidator(_good_prefix), Field(json_schema_extra={"pattern": PREFIX_PATTERN})]
_Path = Annotated[Path, BeforeValidator(_not_empty), Field(json_schema_extra={"minLength": 1})]
_LogLevel = Annotated[
    _Level,
    BeforeValidator(_lower),
    WithJsonSchema(
        {"type": "string", "anyOf": [{"enum": [*get_args(_Level)]}, {"pattern": _in_any_case(get_args(_Level))}]}
    ),
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PandaConfig(_Section):
    """The connection to the PandA."""

    host: str = Field(min_length=1, description="Name or address of the PandA.")
    control_port: _Port = Field(default=8888, description="Port of the control server of the PandA.")
    data_port: _Port = Field(default=8889, description="Port of the data server of the PandA.")


class DataConfig(_Section):
    """Limits of captures."""

    roots: tuple[_Path, ...] = Field(
        default=(), description="Directories in which captures may write files; none: anywhere."
    )

    @field_validator("roots")
    @classmethod
    def _absolute(cls, roots: tuple[Path, ...]) -> tuple[Path, ...]:
        for root in roots:
            if not root.is_absolute():
                raise ValueError(f"{root} is not an absolute path")
        return roots


class StateConfig(_Section):
    """State on disk between runs."""

    directory: _Path | None = Field(
        default=None,
        description="Directory for autosaved DATA settings and the cached description of the PandA; "
        "none: nothing is saved.",
    )


class DesignsConfig(_Section):
    """Designs: complete settings of the PandA, saved by name."""

    directory: _Path | None = Field(
        default=None, description="Directory of the designs; none: there are no DESIGN records."
    )


class ScreensConfig(_Section):
    """Screens for Phoebus."""

    directory: _Path | None = Field(
        default=None, description="Directory to write screens to at startup; none: no screens."
    )
    clear: _Flag = Field(
        default=False, description="Remove generated, unchanged screens that this PandA does not need."
    )


class PviConfig(_Section):
    """The PVI tables, in which ophyd-async finds the PVs."""

    compatible: _Flag = Field(
        default=False,
        description="List only the PVs that pandablocks-ioc lists, so that settings stored here load there.",
    )
    write_only: Literal["rw", "w"] = Field(
        default="rw",
        description="PVI access of write-only fields, such as INENC:SETP: "
        "rw as in pandablocks-ioc; w excludes them from stored settings.",
    )


class AccessConfig(_Section):
    """Access control for puts."""

    read_only: _Flag = Field(default=False, description="Refuse every put.")
    file: _Path | None = Field(default=None, description="EPICS access security file for Channel Access and PV Access.")
    all_fields: _Flag = Field(
        default=False,
        description="Without a file: allow puts to all fields of records, not only to those for operators.",
    )


class HttpConfig(_Section):
    """Prometheus metrics and health checks over HTTP."""

    port: _PortOrAny | None = Field(default=None, description="Port for metrics and health checks; none: no HTTP.")
    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all interfaces.")


class Config(_Section):
    """The configuration of an IOC."""

    prefix: _Prefix = Field(description="Prefix of all PV names, without the last colon.")
    panda: PandaConfig
    poll: dict[str, _Seconds] = Field(default_factory=dict, description="Poll periods in s by group of changes.")
    data: DataConfig = DataConfig()
    state: StateConfig = StateConfig()
    designs: DesignsConfig = DesignsConfig()
    screens: ScreensConfig = ScreensConfig()
    pvi: PviConfig = PviConfig()
    access: AccessConfig = AccessConfig()
    http: HttpConfig = HttpConfig()
    console: _Flag = Field(default=False, description="Read EPICS shell commands, such as dbl(), from standard input.")
    log_level: _LogLevel = Field(default="info", description="Log level.")

    @field_validator("poll")
    @classmethod
    def _groups(cls, poll: dict[str, float]) -> dict[str, float]:
        names = [group.name for group in PERIODS]
        first: dict[str, str] = {}
        for name, period in poll.items():
            if name.upper() not in names:
                raise ValueError(f"unknown group {name}: use {', '.join(names)}")
            if (before := first.setdefault(name.upper(), name)) != name:
                raise ValueError(f"{before} and {name} are the same group")
            if not SHORTEST_PERIOD <= period <= LONGEST_PERIOD:
                raise ValueError(
                    f"the poll period of {name} must be {SHORTEST_PERIOD} to {LONGEST_PERIOD:g} s, not {period:g}"
                )
        return {name.upper(): period for name, period in poll.items()}

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
