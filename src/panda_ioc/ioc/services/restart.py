"""Stop of the IOC by a put to `IOC:RESTART`, for its supervisor to restart it."""

from collections.abc import Callable, Mapping

from ..plan.record import Content
from ..plan.status import RESTART
from ..servers.put import Put
from ..servers.served import Pv
from .service import Service


class Restart(Service):
    """The service that owns `IOC:RESTART`.

    Args:
        end: called with the reason to begin the shutdown; may be called several times
    """

    def __init__(self, end: Callable[[str], None]) -> None:
        self._end = end
        self._pvs: Mapping[str, Pv] = {}

    def initial_values(self) -> Mapping[str, Content]:
        return {RESTART: 0}

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        self._pvs = pvs

    async def put(self, put: Put) -> None:
        self._pvs[put.name].post(0)
        if put.value:
            self._end(f"restart requested by {put.source}")
