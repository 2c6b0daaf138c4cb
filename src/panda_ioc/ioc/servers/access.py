"""EPICS access security with the same rules for Channel Access and PV Access.

The rules of the group DEFAULT apply to all PVs. For Channel Access, EPICS evaluates them; for PV Access, p4p does. p4p
does not support rules that depend on values of PVs (INP and CALC), so a file with such rules is rejected.

EPICS reports a put over Channel Access to the IOC only if its rule has TRAPWRITE, so TRAPWRITE is added to every rule.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ... import textfile
from ...protocol import PandaError

_EVERYBODY = "ASG(DEFAULT) {\n  RULE(1, READ)\n  RULE(0, WRITE, TRAPWRITE)\n}\n"
_EVERYBODY_ALL_FIELDS = _EVERYBODY.replace("RULE(0, WRITE", "RULE(1, WRITE")
_NOBODY = "ASG(DEFAULT) {\n  RULE(1, READ)\n}\n"

#: Elements of rules that p4p does not support. Comments and quoted strings match first and are ignored.
_CONDITION = re.compile(r'#[^\n]*|"(?:[^"\n\\]|\\.)*"|\b(?P<what>INP[A-Z]|CALC)\s*\(')

#: A rule for WRITE, with any white space and comments, and optional quotes. Comments and quoted strings match first, as
#: above.
_WRITE_RULE = re.compile(
    r'#[^\n]*|"(?:[^"\n\\]|\\.)*"'
    r'|\bRULE _ \( _ (?P<level>\d+) _ , _ "?WRITE"? _ (?:, _ "?(?:NO)?TRAPWRITE"? _ )?\)'.replace(
        " _ ", r"(?:\s|#[^\n]*)*"
    )
)

#: Access security level of VAL, the only field that PV Access can put to; see `ca.fields`.
_VALUE_LEVEL = 0

#: Returns whether a client may put. Arguments: user, host, and a function that returns the roles (groups) of the user.
MayPut = Callable[[str, str, Callable[[], Iterable[str]]], bool]


class AccessError(PandaError):
    """Error of an access security file; the message has the file and the reason."""


def rules(file: Path | None, *, read_only: bool, all_fields: bool = False) -> str:
    """Return the text of the rules in force.

    Args:
        file: EPICS access security file; None for the default rules
        read_only: refuse all puts, regardless of the file
        all_fields: let the default rules allow puts to all fields of records instead of operator fields only

    Raises:
        AccessError: the file cannot be read, or has rules that depend on values of PVs
    """
    if read_only:
        return _NOBODY
    if file is None:
        return _EVERYBODY_ALL_FIELDS if all_fields else _EVERYBODY
    try:
        text = textfile.read(file)
    except OSError as error:
        raise AccessError(f"cannot read the access security file {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AccessError(f"the access security file {file} is not a text file in UTF-8") from error
    for found in _CONDITION.finditer(text):
        if found["what"]:
            line = text.count("\n", 0, found.start()) + 1
            raise AccessError(
                f"the access security file {file} has {found['what']} in line {line}: remove rules that depend on "
                "values of PVs, which PV Access does not support"
            )
    return _WRITE_RULE.sub(_trapped, text)


def _trapped(rule: re.Match[str]) -> str:
    return f"RULE({rule['level']}, WRITE, TRAPWRITE)" if rule["level"] else rule[0]


def checker(text: str) -> MayPut:
    """Return a function that checks puts over PV Access against access security rules.

    Raises:
        AccessError: the rules are invalid
    """
    if text in {_EVERYBODY, _EVERYBODY_ALL_FIELDS, _NOBODY}:
        return lambda *_: text != _NOBODY
    from p4p.asLib import ACFError, Engine  # noqa: PLC0415 - slow to load, rarely needed

    try:
        engine = Engine(text)
    except AttributeError as error:
        raise AccessError("the access security file is invalid: it ends before the last bracket is closed") from error
    except (ACFError, RuntimeError, KeyError, ValueError) as error:
        raise AccessError(f"the access security file is invalid: {error}") from error

    def may_put(user: str, host: str, roles: Callable[[], Iterable[str]]) -> bool:
        answer = _Channel()
        engine.create(answer, "DEFAULT", user, host, _VALUE_LEVEL, list(roles()))
        return answer.put

    return may_put


class _Channel:
    """The stand-in for a channel of a client; the engine of p4p reports its permissions to `access`."""

    name = "DEFAULT"

    def __init__(self) -> None:
        self.put = False

    def access(self, put: bool, **_: Any) -> None:  # noqa: FBT001 - as p4p calls it
        """Store whether puts are allowed."""
        self.put = put
