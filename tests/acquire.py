"""Acquisitions of a simulated PandA with known samples."""

import numpy as np

from panda_ioc.simulator import Server


def capture_counter(panda: Server) -> None:
    """Set a counter and the time to be captured."""
    for name in ("COUNTER1.OUT", "PCAP.TS_TRIG"):
        write = panda.panda.fields[name].attributes["CAPTURE"].write
        assert write
        write("Value")


def samples_on_arm(panda: Server, rows: int, reason: str = "Ok") -> None:
    """Generate samples as soon as PCAP is armed: a counter, and the time as two words."""

    def on_arm(*_: object) -> None:
        panda.capture.start()
        numbers = np.arange(rows, dtype=np.uint32)
        panda.capture.append(np.stack([numbers, numbers * 125, numbers * 0], axis=1))
        if reason:
            panda.capture.end(reason)

    panda.capture.on_arm = on_arm
    panda.capture.on_disarm = lambda: panda.capture.end("Disarmed")
