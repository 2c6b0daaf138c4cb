"""Trials: run a design in a simulated PandA, then report, draw or export what it did.

- `run` runs a `Plan` and returns an `Outcome`: the simulation, recorded signals, acquisitions.
- `report` summarises an outcome in a `Report`; `as_text` formats it.
- `chosen` selects signals by name.
- `expect` checks a report against expectations such as `PCAP.samples=200`.
- `timing.draw` draws a timing diagram, `vcd.write` exports waveforms, `wiring.diagram` and `dot.draw` draw the wiring.

Example:
    >>> from panda_ioc.simulator import load
    >>> design = ["CLOCK1.PERIOD=0.001", "CLOCK1.ENABLE=ONE", "TTLOUT1.VAL=CLOCK1.OUT"]
    >>> outcome = run(Plan(load(), design, seconds=0.0105))
    >>> summary = report(outcome, chosen(outcome, ["TTLOUT1"]))
    >>> summary.bits["TTLOUT1"].pulses
    11
"""

from .errors import TrialError
from .report import AcquisitionReport, DetectorReport, Position, Pulses, Report, as_text, report
from .run import Acquired, Outcome, Plan, run
from .signals import chosen

__all__ = [
    "Acquired",
    "AcquisitionReport",
    "DetectorReport",
    "Outcome",
    "Plan",
    "Position",
    "Pulses",
    "Report",
    "TrialError",
    "as_text",
    "chosen",
    "report",
    "run",
]
