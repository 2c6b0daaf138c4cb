"""What the ports of a simulated PandA are to do wrong, on request."""

import asyncio
from collections.abc import Callable

from .numbers import Refused
from .spec import DeviceSpec


class Faults:
    """What goes wrong at the ports.

    Attributes:
        reply_delay: seconds by which each reply of the control port comes late
        stall: while this is clear, the data port sends nothing
        cut: cut data connections after so many more bytes of samples
        corrupt_last_frame: send a last frame that is garbage when an acquisition ends badly
        cut_connections: ends connections at once, those of the control port and those of the data port, as told
        restart: stops, and starts again as another device after some seconds
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
    raise Refused("there is no server, and so there are no connections")
