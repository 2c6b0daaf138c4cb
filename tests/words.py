"""Texts that show that a Python error reached a user."""

import re

PYTHON = re.compile(
    r"Traceback|\w(Error|Exception)\b|invalid literal|could not convert|codec can't|object (is|has)|has no attribute|"
    r"NoneType|<class|\[Errno|not subscriptable|unhashable|unsupported operand|out of bounds|list index|argument|"
    r"Incorrect padding|base64 data|division by zero|must be in range|getsockaddrarg|Symlink loop|\bidna\b",
)
