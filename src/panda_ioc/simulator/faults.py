"""Faults to inject at the ports of a simulated PandA."""

import asyncio
from collections.abc import Callable

from .numbers import Refused
from .spec import DeviceSpec


class Faults:
    """The faults of the ports; none at first.

    Attributes:
        reply_delay: delay of each reply of the control port, in s
        stall: while this event is clear, the data port sends nothing
        cut: number of bytes of samples after which data connections are cut; None for never
        corrupt_last_frame: whether to send a frame of random bytes at the end of each framed acquisition
        cut_connections: aborts connections; called with whether to abort control, and whether to abort data connections
        restart: restarts the server; called with the description of the device and the downtime in s
    """

    def __init__(self) -> None:
        self.reply_delay = 0.0
        self.stall = asyncio.Event()
        self.stall.set()
        self.cut: int | None = None
        self.corrupt_last_frame = False
        self.cut_connections: Callable[[bool, bool], None] = _no_server
        self.restart: Callable[[DeviceSpec, float], None] = _no_server


def _no_server(*_: object) -> None:
    raise Refused("this simulation has no server, so it has no connections")
