"""Settings as scan software applies them: many puts over PV Access, each of which completes with valid readbacks."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from panda_ioc.ioc.link.timetable import PERIODS
from panda_ioc.simulator import Server

from ..relay import Relay
from .process import running_ioc

FIELD = b"PULSE1.PULSES="


class Holding(Relay):
    """A relay that delays the reply to a put of FIELD until the poll behind it arrives.

    Attributes:
        held: number of delayed replies
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.held = 0
        self._free = asyncio.Event()
        self._free.set()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        while line := await reader.readline():
            if line.startswith(FIELD):
                self.held += 1
                self._free.clear()
            elif line.startswith(b"*CHANGES.TABLE?"):
                self._free.set()
            writer.write(line)
            await writer.drain()
        raise ConnectionResetError

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 20):
            await self._free.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


async def test_a_put_and_what_is_asked_for_behind_it_take_one_round_trip(
    panda: Server, ca_ports: Iterator[int], tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"poll: {{{', '.join(f'{group.name}: 60' for group in PERIODS)}}}\n")  # but after puts
    async with (
        Holding(panda.control_port) as wire,
        running_ioc(wire.port, "TEST-ONE-TRIP", ca_ports, "--config", str(config)) as ioc,
    ):
        for number in range(1, 6):
            await ioc.pva_put("PULSE1:PULSES", number)
            assert await ioc.pva_get("PULSE1:PULSES") == number
        assert wire.held == 5


async def test_puts_that_the_panda_refuses_among_many_are_told_one_by_one(
    panda: Server, ca_ports: Iterator[int]
) -> None:
    async with running_ioc(panda.control_port, "TEST-MANY", ca_ports) as ioc:
        puts = {f"PULSE{block}:{name}": 100 + block for block in range(1, 5) for name in ("PULSES", "DELAY", "WIDTH")}
        await asyncio.gather(*(ioc.pva_put(f"PULSE{block}:DELAY:UNITS", "us") for block in range(1, 5)))
        refused = {f"CLOCK{block}:PERIOD": 1e9 for block in (1, 2)}
        answers = await asyncio.gather(
            *(ioc.pva_put(name, value) for name, value in {**puts, **refused}.items()), return_exceptions=True
        )
        assert [str(answer) for answer in answers[: len(puts)]] == ["None"] * len(puts)
        assert all("out of range" in str(answer) for answer in answers[len(puts) :])
        assert {name: await ioc.pva_get(name) for name in puts} == puts
