"""Content and repetition of log lines."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from p4p.client.asyncio import RemoteError

from panda_ioc.ioc.log import OneLineFormatter, Repeated, escape_nonprintable
from panda_ioc.simulator import Server

from .circuit import NORMAL, Circuit
from .process import running_ioc


def test_what_goes_wrong_again_and_again_is_told_once_an_hour() -> None:
    now = 0.0
    said: list[str] = []
    warning = Repeated(said.append, lambda: now)
    for _ in range(2 * 360):
        warning.tell("refused")
        now += 10
    assert said == ["refused", "refused (repeated 361 times)"]
    for text in ("silent", "silent", "refused"):
        warning.tell(text)
    assert said[2:] == ["silent", "refused"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("µV/° of a scan", "µV/° of a scan"), ("a\nb\r\x1b[2J", "a\\nb\\r\\x1b[2J"), ("\u2028\udc80", "\\u2028\\udc80")],
)
def test_what_is_no_letter_is_shown_by_its_code(text: str, shown: str) -> None:
    assert escape_nonprintable(text) == shown


def test_a_traceback_has_lines_of_its_own() -> None:
    error = OSError("gone")
    info = (OSError, error, None)
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "%s failed", ("a\nb",), info)
    lines = OneLineFormatter("%(message)s").format(record).splitlines()
    assert lines[0] == "a\\nb failed"
    assert lines[-1] == "OSError: gone"


FORGED = "x\n2026-01-01 00:00:00,000 PUT     put X:Y = 1 by root"


async def test_nobody_makes_lines_of_the_log(panda: Server, ca_ports: Iterator[int]) -> None:
    """Neither the value of a put nor the user name, which the client chooses, can forge a line."""
    async with running_ioc(panda.control_port, "TEST-FORGE", ca_ports, "--log-level", "put") as ioc:
        with pytest.raises(RemoteError, match="contains the control character"):
            await ioc.pva_put("DATA:HDF_FILE_NAME", FORGED)
        await ioc.wait_for("refused put TEST-FORGE:DATA:HDF_FILE_NAME")
        async with Circuit(int(ioc.environment["EPICS_CA_SERVER_PORT"]), FORGED) as circuit:
            assert await circuit.put("TEST-FORGE:PULSE1:PULSES", 5) == NORMAL
        line = await ioc.wait_for("put TEST-FORGE:PULSE1:PULSES = 5")
        assert " by x\\n2026-01-01" in line
        assert await ioc.stop() == 0
    assert not any(line.startswith("2026-01-01") for line in ioc.output)


async def test_refused_puts_do_not_fill_the_log(panda: Server, ca_ports: Iterator[int]) -> None:
    """Anyone on the network can put, also what is refused."""
    prefix = "TEST-REFUSED"
    async with running_ioc(panda.control_port, prefix, ca_ports) as ioc:
        channels = [ioc.pv("TTLIN1:VAL"), *[ioc.pv(f"PULSE{number}:TRIG") for number in range(1, 5)]]
        for number in range(60):
            refused = [ioc.pva.put(channel, f"NOSUCH{number}") for channel in channels]
            done = await asyncio.gather(*refused, return_exceptions=True)
            assert all(isinstance(each, RemoteError | ValueError) for each in done)
        async with Circuit(int(ioc.environment["EPICS_CA_SERVER_PORT"]), "alice") as circuit:
            for value in range(60):
                assert await circuit.put(ioc.pv("COUNTER1:OUT"), value) != NORMAL
        count = await ioc.pva_get("IOC:PUTS_REFUSED")
        assert await ioc.stop() == 0
    assert count >= 240
    lines = [line for line in ioc.output if "refused put" in line]
    assert any("'NOSUCH0' by" in line for line in lines)
    # 50 in 10 s; the puts take less than 20 s.
    assert len(lines) <= 2 * 50
