"""Who may put: EPICS access security, the same for Channel Access and PV Access.

The rules of the group DEFAULT hold for all. Channel Access servers read them themselves; for PV Access they are
evaluated by p4p, which cannot make rules depend on values of PVs (INP and CALC), so a file with such rules is refused.
EPICS tells who puts what over Channel Access where a rule says TRAPWRITE: so every rule is given that.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ...protocol import PandaError

_EVERYBODY = "ASG(DEFAULT) {\n  RULE(1, READ)\n  RULE(0, WRITE, TRAPWRITE)\n}\n"
_EVERYBODY_ALL_FIELDS = _EVERYBODY.replace("RULE(0, WRITE", "RULE(1, WRITE")
_NOBODY = "ASG(DEFAULT) {\n  RULE(1, READ)\n}\n"

#: What p4p cannot do in rules; comments and texts in quotes are found first, and mean nothing.
_CONDITION = re.compile(r'#[^\n]*|"(?:[^"\n\\]|\\.)*"|\b(?P<what>INP[A-Z]|CALC)\s*\(')

#: A rule by which somebody may write, with spaces, ends of lines and comments anywhere, and words in quotes or not;
#: as above, what only looks like one is found first.
_WRITE_RULE = re.compile(
    r'#[^\n]*|"(?:[^"\n\\]|\\.)*"'
    r'|\bRULE _ \( _ (?P<level>\d+) _ , _ "?WRITE"? _ (?:, _ "?(?:NO)?TRAPWRITE"? _ )?\)'.replace(
        " _ ", r"(?:\s|#[^\n]*)*"
    )
)

#: The level of VAL, which is all that can be put to over PV Access; see `ca.fields`.
_VALUE_LEVEL = 0

#: Whether a user, from a host, with the roles of its groups, may put; these are looked up only where rules exist.
MayPut = Callable[[str, str, Callable[[], Iterable[str]]], bool]


class AccessError(PandaError):
    """An access security file that cannot be used; the message says which and why."""


def rules(file: Path | None, *, read_only: bool, all_fields: bool = False) -> str:
    """Return the text of the rules in force.

    Args:
        file: an EPICS access security file; None for the default rules
        read_only: whether every put is refused, whatever the file says
        all_fields: whether the default rules let people put to all fields of records, not only operators'

    Raises:
        AccessError: the file cannot be read, or has rules that depend on PVs
    """
    if read_only:
        return _NOBODY
    if file is None:
        return _EVERYBODY_ALL_FIELDS if all_fields else _EVERYBODY
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise AccessError(f"the access security file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AccessError(f"the access security file {file} is not text in UTF-8") from error
    for found in _CONDITION.finditer(text):
        if found["what"]:
            line = text.count("\n", 0, found.start()) + 1
            raise AccessError(
                f"the access security file {file} has {found['what']} in line {line}: rules that depend on the "
                "values of PVs would not hold over PV Access, and are not taken"
            )
    return _WRITE_RULE.sub(_trapped, text)


def _trapped(rule: re.Match[str]) -> str:
    return f"RULE({rule['level']}, WRITE, TRAPWRITE)" if rule["level"] else rule[0]


def checker(text: str) -> MayPut:
    """Who may put by some rules, over PV Access.

    Raises:
        AccessError: the rules make no sense
    """
    if text in {_EVERYBODY, _EVERYBODY_ALL_FIELDS, _NOBODY}:
        return lambda *_: text != _NOBODY
    from p4p.asLib import ACFError, Engine  # noqa: PLC0415 - takes as long to load as all else of p4p

    try:
        engine = Engine(text)
    except (ACFError, RuntimeError, KeyError, ValueError, AttributeError) as error:  # the last where it just ends
        raise AccessError(f"the access security file makes no sense: {error}") from error

    def may_put(user: str, host: str, roles: Callable[[], Iterable[str]]) -> bool:
        answer = _Answer()
        engine.create(answer, "DEFAULT", user, host, _VALUE_LEVEL, list(roles()))
        return answer.put

    return may_put


class _Answer:
    """What the engine tells of a client: it asks for a channel, and calls its `access`."""

    name = "DEFAULT"

    def __init__(self) -> None:
        self.put = False

    def access(self, put: bool, **_: Any) -> None:  # noqa: FBT001 - as p4p calls it
        """Take what is allowed."""
        self.put = put
