"""Rules for EPICS record names."""

import re
import string

_SIGNS = "_-+:;[]<>/{}"
_CHARACTERS = set(string.ascii_letters + string.digits + _SIGNS)

#: Maximum length of a name without the prefix. No real PandA exceeds it; a longer name would leave too little room for
#: the prefix, so it is not served.
MAX_NAME_LENGTH = 42

#: Maximum length of a name in a remark.
_SHOWN = 100

#: The rule of `prefix_problem` as a regular expression of Python and JavaScript; in Python, $ also matches before "\n".
PREFIX_PATTERN = rf"^[A-Za-z0-9{re.escape(_SIGNS)}]+$(?!\n)"


def illegal(name: str) -> str:
    """Return the characters of a name that EPICS does not allow, separated by spaces."""
    bad = sorted(set(name) - _CHARACTERS)
    return " ".join(repr(character) if character == " " else character for character in bad)


def name_problem(name: str) -> str:
    """Return a remark about why a name cannot be served; "" if it can."""
    if len(name) > MAX_NAME_LENGTH:
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
        return f"{shown} is not served: the name has more than {MAX_NAME_LENGTH} characters"
    if bad := illegal(name):
        return f"{name!r} is not served: EPICS does not allow {bad} in record names"
    return ""


def prefix_problem(prefix: str) -> str:
    """Return why a text is not a valid PV prefix; "" if it is."""
    bad = illegal(prefix)
    if prefix and not bad:
        return ""
    return f"invalid PV prefix {prefix!r}: " + (f"EPICS does not allow {bad}" if bad else "it is empty")
