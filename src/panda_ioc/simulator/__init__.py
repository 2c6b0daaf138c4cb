"""A PandA in software: its blocks run, and it answers on its ports as a real server does.

`Simulation` is all of it without sockets and clocks, `Server` serves one on TCP ports in real time. `blocks` can be
driven on their own.
"""

from .panda import Panda
from .recording import Recording, Trace
from .scenario import Scenario, load_scenario
from .server import Server
from .simulation import Simulation
from .spec import PANDABOX, DeviceSpec, load

__all__ = [
    "PANDABOX",
    "DeviceSpec",
    "Panda",
    "Recording",
    "Scenario",
    "Server",
    "Simulation",
    "Trace",
    "load",
    "load_scenario",
]
