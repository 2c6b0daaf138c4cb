"""A software PandA: simulated blocks behind the control port and the data port of a real server.

- `Simulation`: the blocks, fields and PCAP of one PandA, without sockets; simulated time passes on request.
- `Server`: a `Simulation` on TCP ports, in step with real time.
- `load` and `DeviceSpec`: the device file that lists the blocks and fields.
- `load_scenario` and `Scenario`: initial settings, and events at given times (motors, inputs, faults).
- `Recording` and `Trace`: the values of signals over simulated time.

The modules of `blocks` can also be run on their own. Simulated time is counted in ticks of 8 ns (125 MHz).

Example:
    Measure the width of a pulse:

    >>> simulation = Simulation(load())
    >>> simulation.set_up(["PULSE1.ENABLE=ONE", "PULSE1.WIDTH.RAW=125", "PULSE1.TRIG=TTLIN1.VAL"])
    >>> recording = simulation.record("PULSE1.OUT")
    >>> simulation.outside.input("TTLIN1").level(True)
    >>> simulation.advance(1000)
    True
    >>> [int(fall - rise) for rise, fall in recording["PULSE1.OUT"].pulses]
    [125]
"""

from .numbers import Refused
from .outside import Input, Motor, Outside
from .panda import Panda
from .recording import Recording, Trace
from .scenario import DEMO, Scenario, ScenarioError, load_scenario
from .server import Server
from .simulation import Simulation
from .spec import PANDABOX, DeviceError, DeviceSpec, load
from .wiring import Delays

__all__ = [
    "DEMO",
    "PANDABOX",
    "Delays",
    "DeviceError",
    "DeviceSpec",
    "Input",
    "Motor",
    "Outside",
    "Panda",
    "Recording",
    "Refused",
    "Scenario",
    "ScenarioError",
    "Server",
    "Simulation",
    "Trace",
    "load",
    "load_scenario",
]
