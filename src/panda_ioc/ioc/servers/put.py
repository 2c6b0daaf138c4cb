"""A put: one object from the server that takes it to the service that does it, and back to the log."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Put:
    """A value that somebody puts to a record or table.

    Attributes:
        name: of the record or table, without the prefix
        value: a number, an index of a choice, text, an array, or the columns of a table that were put
        originator: who puts it, as "user@host"; "" if nobody knows
        protocol: "CA" or "PVA"; "" if no client did
    """

    name: str
    value: Any
    originator: str = ""
    protocol: str = ""

    def redirect(self, name: str, value: Any) -> "Put":
        """Return a put of a value to another record by the same client."""
        return replace(self, name=name, value=value)

    @property
    def source(self) -> str:
        """Who puts it and how, for the log: "alice@host over CA"."""
        return f"{self.originator or 'somebody'}{self.protocol and f' over {self.protocol}'}"


#: Does a put; returns when it is done and everything shown is true, with the reason if it was refused, else "".
OnPut = Callable[[Put], Awaitable[str]]
