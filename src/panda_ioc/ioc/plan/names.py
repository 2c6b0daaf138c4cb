"""What EPICS takes as the name of a record."""

import re
import string

_SIGNS = "_-+:;[]<>/{}"
_CHARACTERS = set(string.ascii_letters + string.digits + _SIGNS)

#: Characters of a name without the prefix. No PandA has a longer one; a name that would leave no room for a
#: prefix is left out, rather than all others with it.
MAX_NAME_LENGTH = 42

#: Characters of a name that is too long in a remark.
_SHOWN = 100

#: The rule of `prefix_problem` for a JSON schema.
PREFIX_PATTERN = f"^[A-Za-z0-9{re.escape(_SIGNS)}]+$"


def illegal(name: str) -> str:
    """The characters of a name that EPICS does not allow, with blanks between."""
    return " ".join(sorted(set(name) - _CHARACTERS))


def name_problem(name: str) -> str:
    """Return why nothing can be served under a name, as a remark; "" if it can."""
    if len(name) > MAX_NAME_LENGTH:
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
        return f"{shown} is not served: the name is longer than {MAX_NAME_LENGTH}"
    if bad := illegal(name):
        return f"{name!r} is not served: EPICS allows no {bad} in a name"
    return ""


def prefix_problem(prefix: str) -> str:
    """Why a text cannot be what names begin with; "" if it can."""
    bad = illegal(prefix)
    if prefix and not bad:
        return ""
    return f"{prefix!r} cannot be the prefix of record names: " + (f"{bad} is not allowed" if bad else "it is empty")
