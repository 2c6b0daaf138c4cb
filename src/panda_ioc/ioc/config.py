"""How an IOC runs: one YAML file, over which the command line and the environment go.

    prefix: BL01T-EA-PANDA-01
    panda:
      host: 172.23.252.201
    data:
      roots: [/dls/i01/data]

Every key has a default but `prefix` and `panda.host`. `panda-ioc schema` prints all as a JSON schema.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..protocol import ChangeGroup
from .poll import PERIODS

#: Seconds that may be chosen from poll to poll.
SHORTEST_PERIOD, LONGEST_PERIOD = 0.005, 60.0


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PandaConfig(_Section):
    """Where the PandA is."""

    host: str = Field(min_length=1, description="Name or address of the PandA.")
    control_port: int = Field(default=8888, ge=1, le=65535, description="Port of its commands.")
    data_port: int = Field(default=8889, ge=1, le=65535, description="Port of its data.")


class DataConfig(_Section):
    """What captures may do."""

    roots: tuple[Path, ...] = Field(default=(), description="Files are written only below these; none: anywhere.")

    @field_validator("roots")
    @classmethod
    def _absolute(cls, roots: tuple[Path, ...]) -> tuple[Path, ...]:
        for root in roots:
            if not root.is_absolute():
                raise ValueError(f"{root} is not an absolute path")
        return roots


class StateConfig(_Section):
    """What is kept on disk from run to run."""

    directory: Path | None = Field(
        default=None, description="Where settings of DATA and what the PandA has are kept; none: they are not."
    )


class DesignsConfig(_Section):
    """Whole setups of the PandA, saved by name."""

    directory: Path | None = Field(default=None, description="Where they are; none: there are no records for them.")


class ScreensConfig(_Section):
    """Screens for Phoebus."""

    directory: Path | None = Field(default=None, description="Where they are written at start; none: they are not.")
    clear: bool = Field(default=False, description="Remove screens of an earlier run that nobody changed.")


class AccessConfig(_Section):
    """Who may put."""

    read_only: bool = Field(default=False, description="Refuse every put.")
    file: Path | None = Field(default=None, description="EPICS access security file, for Channel Access and PV Access.")


class HttpConfig(_Section):
    """Metrics for Prometheus, and whether the IOC is well, over HTTP."""

    port: int | None = Field(default=None, ge=0, le=65535, description="Where to listen; none: nowhere.")
    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")


class Config(_Section):
    """An IOC."""

    prefix: str = Field(min_length=1, description="What the names of all records begin with, without the last colon.")
    panda: PandaConfig
    poll: dict[str, float] = Field(default_factory=dict, description="Seconds from poll to poll, by group of changes.")
    data: DataConfig = DataConfig()
    state: StateConfig = StateConfig()
    designs: DesignsConfig = DesignsConfig()
    screens: ScreensConfig = ScreensConfig()
    access: AccessConfig = AccessConfig()
    http: HttpConfig = HttpConfig()
    log_level: str = Field(default="info", pattern="^(debug|put|info|warning|error)$", description="How much to log.")

    @field_validator("poll")
    @classmethod
    def _groups(cls, poll: dict[str, float]) -> dict[str, float]:
        names = [group.name for group in PERIODS]
        for name, period in poll.items():
            if name.upper() not in names:
                raise ValueError(f"{name} is none of {', '.join(names)}")
            if not SHORTEST_PERIOD <= period <= LONGEST_PERIOD:
                raise ValueError(f"{name} is to be polled every {SHORTEST_PERIOD} to {LONGEST_PERIOD:g} seconds")
        return {name.upper(): period for name, period in poll.items()}

    @property
    def periods(self) -> dict[ChangeGroup, float]:
        """Seconds from poll to poll of each group."""
        return {**PERIODS, **{ChangeGroup[name]: period for name, period in self.poll.items()}}


def merged(config: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """One configuration over another, both as YAML has them; what is None says nothing.

    What should have been sections, and is not, stays as it is, for whoever checks it.
    """
    result = dict(config)
    for key, value in over.items():
        if isinstance(value, dict):
            under = result.get(key)
            if isinstance(under, dict | None) and (inside := merged(under or {}, value)):
                result[key] = inside
        elif value is not None:
            result[key] = value
    return result
