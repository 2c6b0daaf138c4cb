"""A parser for the names in a command, which refuses invalid input in the words of the server."""

import re

from .numbers import Refused

_NAME = re.compile(r"[A-Za-z0-9_]+")


class Scanner:
    """The unread rest of a command."""

    def __init__(self, text: str) -> None:
        self._rest = text

    def name(self) -> str:
        """Read a name: letters, digits, underscores."""
        match = _NAME.match(self._rest)
        if not match:
            raise Refused("No name found")
        self._rest = self._rest[match.end() :]
        return match[0]

    def accept(self, token: str) -> bool:
        """Read a token if it comes next; return whether it did."""
        if not self._rest.startswith(token):
            return False
        self._rest = self._rest[len(token) :]
        return True

    def expect(self, character: str) -> None:
        """Read a character that must come next."""
        if not self.accept(character):
            raise Refused(f"Character '{character}' expected")

    def end(self) -> None:
        """Require that nothing is left."""
        if self._rest:
            raise Refused("Unexpected character after input")

    def rest(self) -> str:
        """Read everything that is left."""
        rest, self._rest = self._rest, ""
        return rest
