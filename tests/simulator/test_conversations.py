"""The simulated PandA, or a real one named by PANDA_SERVER, replies as a real server did.

    PANDA_SERVER=panda.example:8888 pytest -n0 tests/simulator/test_conversations.py

needs a PandABox without an FMC card that was just switched on, and changes its settings.
"""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from panda_ioc.simulator import Server, load
from panda_ioc.simulator.session import LineTooLong

from ..peers import Peers
from .conversation import FOLDER, Talk, steps, talking

#: Those that were recorded of a server that was just started, in an order in which each finds what it expects.
RECORDED = ["pandabox", "system-commands", "tables", "changes"]


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    """Connect to a new simulator, or to the server that PANDA_SERVER names."""
    named = os.environ.get("PANDA_SERVER")
    if named:
        host, _, port = named.partition(":")
        async with talking(host, int(port or 8888)) as talk:
            yield talk
    else:
        async with (
            Server(load(), control_port=0, data_port=0) as server,
            talking("127.0.0.1", server.control_port) as talk,
        ):
            yield talk


@pytest.mark.parametrize("name", [*RECORDED, *sorted({path.stem for path in FOLDER.glob("*.txt")} - set(RECORDED))])
async def test_a_conversation(talk: Talk, name: str) -> None:
    wrong = [difference for step in steps(FOLDER / f"{name}.txt") if (difference := await talk.play(step))]
    assert not wrong, f"{len(wrong)} replies differ:\n" + "\n".join(wrong[:40])


def test_a_line_that_is_too_long_closes_the_connection_after_earlier_replies() -> None:
    peers = Peers()
    replies = peers.session.receive(b"*CLOCK_FREQ?\n" + b"*ECHO " + b"x" * 1017 + b"?\n")
    assert next(replies) == b"OK =125000000\n"
    with pytest.raises(LineTooLong):
        next(replies)
    with pytest.raises(LineTooLong):
        list(Peers().session.receive(b"x" * 1023))
    assert peers.say("*METADATA.DESIGN=" + "x" * 1005) == ["OK"]


def test_a_truncated_table_write_has_no_effect() -> None:
    one = Peers()
    other = Peers(panda=one.panda)
    assert one.say("PGEN1.TABLE<", "1", "") == ["OK"]
    assert one.say("PGEN1.TABLE<", "2") == []
    assert other.say("PGEN1.TABLE<", "3", "") == ["ERR Table currently being written"]
    one.session.close()
    assert other.say("PGEN1.TABLE?") == ["!1", "."]
    assert other.say("PGEN1.TABLE<", "3", "") == ["OK"]


def test_a_table_with_malformed_text() -> None:
    session = Peers().session
    said = b"*METADATA.LAYOUT<\n\xff\n\nPGEN1.TABLE<\n1\n\n*METADATA.LAYOUT?\n"
    assert b"".join(session.receive(said)) == b"ERR Malformed UTF-8 encoding\nOK\n.\n"


async def test_who_is_connected() -> None:
    async with Server(load(), control_port=0, data_port=0) as server:
        _, data = await asyncio.open_connection("127.0.0.1", server.data_port)
        reader, control = await asyncio.open_connection("127.0.0.1", server.control_port)
        control.write(b"*WHO?\n")
        lines = [await asyncio.wait_for(reader.readline(), 5) for _ in range(3)]
        for writer, port in ((data, b"data"), (control, b"config")):
            address = "{}:{}".format(*writer.get_extra_info("sockname")).encode()
            assert any(line.startswith(b"!20") and line.endswith(b" %s %s\n" % (port, address)) for line in lines)
            writer.close()
        assert lines[-1] == b".\n"
