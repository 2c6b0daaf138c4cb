"""Base class of the services."""

from collections.abc import Collection, Mapping

from ...protocol import Changes
from ..plan.autosave import AutosaveEntry
from ..plan.codecs import Refusal
from ..plan.record import Content
from ..servers.put import Put
from ..servers.served import Pv


class Service:
    """A part of the IOC that owns PVs.

    Subclasses override the methods that they need. All methods are called in the event loop.
    """

    def initial_values(self) -> Mapping[str, Content]:
        """Return the initial values of PVs by name; a PV without one is undefined until its first post."""
        return {}

    def autosave_entries(self) -> Mapping[str, AutosaveEntry]:
        """Return the values that autosave restores after a restart, by unique names."""
        return {}

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Store the PVs, by name; called once, when all PVs have been created."""

    def connected(self, *, again: bool) -> None:
        """Handle a new connection to the PandA; `again` if PVs showed a disconnect before."""

    def disconnected(self) -> None:
        """Handle the loss of the PandA."""

    def apply(self, changes: Changes, different: Collection[str]) -> None:
        """Handle changes reported by the PandA.

        Args:
            changes: reported changes
            different: keys whose cached value or error state has changed
        """

    async def put(self, put: Put) -> None:
        """Execute a put to a record or table; return when it is complete and all readbacks are up to date.

        Raises:
            Refusal, PandaError: the put is refused; nothing changed
        """
        raise Refusal(f"{put.name} is read-only")

    async def close(self) -> None:
        """Release resources at the shutdown of the IOC."""
