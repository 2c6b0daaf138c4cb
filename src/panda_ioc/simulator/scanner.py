"""Read the names in a command from left to right, refusing in the server's words what does not fit."""

import re

from .numbers import Refused

_NAME = re.compile(r"[A-Za-z0-9_]+")


class Scanner:
    """What is left of a command."""

    def __init__(self, text: str) -> None:
        self._rest = text

    def name(self) -> str:
        """A name: letters, digits, underscores."""
        match = _NAME.match(self._rest)
        if not match:
            raise Refused("No name found")
        self._rest = self._rest[match.end() :]
        return match[0]

    def accept(self, token: str) -> bool:
        """Take a token if it is next."""
        if not self._rest.startswith(token):
            return False
        self._rest = self._rest[len(token) :]
        return True

    def expect(self, character: str) -> None:
        """Take a character that must be next."""
        if not self.accept(character):
            raise Refused(f"Character '{character}' expected")

    def end(self) -> None:
        """There must be nothing more."""
        if self._rest:
            raise Refused("Unexpected character after input")

    def rest(self) -> str:
        """Take all that is left."""
        rest, self._rest = self._rest, ""
        return rest
