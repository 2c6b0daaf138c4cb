"""What a service is: a part of the IOC that owns PVs."""

from collections.abc import Collection, Mapping

from ...protocol import Changes
from ..plan.autosave import AutosaveEntry
from ..plan.codecs import Refusal
from ..plan.record import Content
from ..servers.put import Put
from ..servers.served import Pv


class Service:
    """A part of the IOC that owns PVs; it implements what concerns it. All is called in the event loop."""

    def initial_values(self) -> Mapping[str, Content]:
        """What its PVs start with; one that is not among them is undefined until it is posted."""
        return {}

    def kept(self) -> Mapping[str, AutosaveEntry]:
        """What is to be there again after a restart, by names that are unique."""
        return {}

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Take all PVs, by name, as they are served."""

    def connected(self, *, again: bool) -> None:
        """The PandA is there; `again` if its PVs showed that it was lost."""

    def disconnected(self) -> None:
        """The PandA is gone."""

    def apply(self, changes: Changes, different: Collection[str]) -> None:
        """Follow what the PandA says has changed.

        Args:
            changes: what it says
            different: the keys of which something else is known now
        """

    async def put(self, put: Put) -> None:
        """Do a put to a record or table; return when it is done and all that is shown is true.

        Raises:
            Refusal, PandaError: it is refused, and nothing changed
        """
        raise Refusal(f"{put.name} can only be read")

    async def close(self) -> None:
        """The IOC ends."""
