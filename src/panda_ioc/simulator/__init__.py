"""A PandA in software: it answers on the control port as a real server does.

`Panda` is its state, `Session` one connection without sockets, `Server` all of it on TCP ports.
"""

from .panda import Panda
from .server import Server
from .spec import PANDABOX, DeviceSpec, load

__all__ = ["PANDABOX", "DeviceSpec", "Panda", "Server", "load"]
