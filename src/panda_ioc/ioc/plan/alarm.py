"""Alarms as EPICS knows them, as plain data."""

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad an alarm is."""

    NO_ALARM = 0
    MINOR = 1
    MAJOR = 2
    INVALID = 3


class Status(IntEnum):
    """What kind of alarm it is; of the kinds that EPICS has, those that are used here."""

    NO_ALARM = 0
    READ = 1
    WRITE = 2
    STATE = 7
    COMM = 9
    UDF = 17


@dataclass(frozen=True)
class Alarm:
    """The alarm of a record; the message is what PVA clients show beside it."""

    severity: Severity = Severity.NO_ALARM
    status: Status = Status.NO_ALARM
    message: str = ""


NO_ALARM = Alarm()
