"""How an IOC runs: one YAML file, over which the command line and the environment go.

    prefix: BL01T-EA-PANDA-01
    panda:
      host: 172.23.252.201
    data:
      roots: [/dls/i01/data]

Every key has a default but `prefix` and `panda.host`. `panda-ioc schema` prints all as a JSON schema.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator

from ...protocol import ChangeGroup
from ..link.poll import PERIODS
from ..plan.names import PREFIX_PATTERN, prefix_problem

#: Seconds that may be chosen from poll to poll.
SHORTEST_PERIOD, LONGEST_PERIOD = 0.005, 60.0


_Level = Literal["debug", "put", "info", "warning", "error"]


def _good_prefix(prefix: str) -> str:
    if problem := prefix_problem(prefix):
        raise ValueError(problem)
    return prefix


def _not_empty(path: object) -> object:
    if path == "":  # which would be the working directory
        raise ValueError("a path cannot be empty")
    return path


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _in_any_case(words: tuple[str, ...]) -> str:
    """A pattern for words in small letters, in capitals, or both."""
    return "^(" + "|".join("".join(f"[{x}{x.upper()}]" for x in word) for word in words) + ")$"


# What pydantic would make of a text, or of true, is no number, and a number is no yes.
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
    """Where the PandA is."""

    host: str = Field(min_length=1, description="Name or address of the PandA.")
    control_port: _Port = Field(default=8888, description="Port of its commands.")
    data_port: _Port = Field(default=8889, description="Port of its data.")


class DataConfig(_Section):
    """What captures may do."""

    roots: tuple[_Path, ...] = Field(default=(), description="Files are written only below these; none: anywhere.")

    @field_validator("roots")
    @classmethod
    def _absolute(cls, roots: tuple[Path, ...]) -> tuple[Path, ...]:
        for root in roots:
            if not root.is_absolute():
                raise ValueError(f"{root} is not an absolute path")
        return roots


class StateConfig(_Section):
    """What is kept on disk from run to run."""

    directory: _Path | None = Field(
        default=None, description="Where settings of DATA and what the PandA has are kept; none: they are not."
    )


class DesignsConfig(_Section):
    """Whole setups of the PandA, saved by name."""

    directory: _Path | None = Field(default=None, description="Where they are; none: there are no records for them.")


class ScreensConfig(_Section):
    """Screens for Phoebus."""

    directory: _Path | None = Field(default=None, description="Where they are written at start; none: they are not.")
    clear: _Flag = Field(default=False, description="Remove screens of an earlier run that nobody changed.")


class PviConfig(_Section):
    """What PVI lists, by which ophyd-async finds PVs."""

    compatible: _Flag = Field(
        default=False,
        description="List only what pandablocks-ioc lists: settings that ophyd-async stores here then load there, too.",
    )
    write_only: Literal["rw", "w"] = Field(
        default="rw",
        description="Access of fields that cannot be read, such as INENC:SETP; "
        "rw as in pandablocks-ioc, w to keep them out of stored settings.",
    )


class AccessConfig(_Section):
    """Who may put."""

    read_only: _Flag = Field(default=False, description="Refuse every put.")
    file: _Path | None = Field(
        default=None, description="EPICS access security file, for Channel Access and PV Access."
    )
    all_fields: _Flag = Field(
        default=False,
        description="Without a file: let people put to all fields of records, not only those of operators.",
    )


class HttpConfig(_Section):
    """Metrics for Prometheus, and whether the IOC is well, over HTTP."""

    port: _PortOrAny | None = Field(default=None, description="Where to listen; none: nowhere.")
    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")


class Config(_Section):
    """An IOC."""

    prefix: _Prefix = Field(description="What the names of all records begin with, without the last colon.")
    panda: PandaConfig
    poll: dict[str, _Seconds] = Field(
        default_factory=dict, description="Seconds from poll to poll, by group of changes."
    )
    data: DataConfig = DataConfig()
    state: StateConfig = StateConfig()
    designs: DesignsConfig = DesignsConfig()
    screens: ScreensConfig = ScreensConfig()
    pvi: PviConfig = PviConfig()
    access: AccessConfig = AccessConfig()
    http: HttpConfig = HttpConfig()
    console: _Flag = Field(default=False, description="Read commands of EPICS from standard input, such as dbl().")
    log_level: _LogLevel = Field(default="info", description="How much to log.")

    @field_validator("poll")
    @classmethod
    def _groups(cls, poll: dict[str, float]) -> dict[str, float]:
        names = [group.name for group in PERIODS]
        first: dict[str, str] = {}
        for name, period in poll.items():
            if name.upper() not in names:
                raise ValueError(f"{name} is none of {', '.join(names)}")
            if (before := first.setdefault(name.upper(), name)) != name:
                raise ValueError(f"{before} and {name} are the same group")
            if not SHORTEST_PERIOD <= period <= LONGEST_PERIOD:
                raise ValueError(f"{name} is to be polled every {SHORTEST_PERIOD} to {LONGEST_PERIOD:g} seconds")
        return {name.upper(): period for name, period in poll.items()}

    @property
    def periods(self) -> dict[ChangeGroup, float]:
        """Seconds from poll to poll of each group."""
        return {**PERIODS, **{ChangeGroup[name]: period for name, period in self.poll.items()}}


def merged(config: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """One configuration over another, both as YAML has them; what is None says nothing.

    What should have been sections, and is not, stays as it is, for whoever checks it. Groups to poll are the same in
    capitals and small letters.
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
