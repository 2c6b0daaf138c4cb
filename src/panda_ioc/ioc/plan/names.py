"""What EPICS takes as the name of a record."""

import re
import string

_SIGNS = "_-+:;[]<>/{}"
_CHARACTERS = set(string.ascii_letters + string.digits + _SIGNS)

#: The rule of `prefix_problem` for a JSON schema.
PREFIX_PATTERN = f"^[A-Za-z0-9{re.escape(_SIGNS)}]+$"


def illegal(name: str) -> str:
    """The characters of a name that EPICS does not allow, with blanks between."""
    return " ".join(sorted(set(name) - _CHARACTERS))


def prefix_problem(prefix: str) -> str:
    """Why a text cannot be what names begin with; "" if it can."""
    bad = illegal(prefix)
    if prefix and not bad:
        return ""
    return f"{prefix!r} cannot be the prefix of record names: " + (f"{bad} is not allowed" if bad else "it is empty")
