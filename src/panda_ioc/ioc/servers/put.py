"""A put, as a server passes it to the services and the log."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Put:
    """A put to a record or table.

    Attributes:
        name: name of the record or table, without the prefix
        value: number, index of a choice, text, array, or for a table the columns in the put by name
        originator: client as "user@host"; "" if unknown
        protocol: "CA" or "PVA"; "" for a put by the IOC itself
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
        """Client and protocol for the log, such as "alice@host over CA"."""
        return f"{self.originator or 'an unknown client'}{self.protocol and f' over {self.protocol}'}"


#: Executes a put and returns when all readbacks are up to date. Returns the reason of a refusal, "" if accepted.
OnPut = Callable[[Put], Awaitable[str]]
