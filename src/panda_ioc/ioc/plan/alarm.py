"""EPICS alarms, as plain data."""

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """The severity of an alarm, numbered as in EPICS."""

    NO_ALARM = 0
    MINOR = 1
    MAJOR = 2
    INVALID = 3


class Status(IntEnum):
    """The status of an alarm, numbered as in EPICS; only those that the IOC uses."""

    NO_ALARM = 0
    READ = 1
    WRITE = 2
    STATE = 7
    COMM = 9
    UDF = 17


@dataclass(frozen=True)
class Alarm:
    """The alarm of a record; PVA clients show the message, Channel Access has it in the field AMSG."""

    severity: Severity = Severity.NO_ALARM
    status: Status = Status.NO_ALARM
    message: str = ""


NO_ALARM = Alarm()
