"""Random input to the control port: each command has one reply of a known form."""

import asyncio
import contextlib
import random
import re
from base64 import b64encode
from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import GetLine
from panda_ioc.simulator import Server, load
from panda_ioc.simulator.session import LineTooLong, Session
from panda_ioc.simulator.simulation import Simulation
from panda_ioc.simulator.system import SYSTEM, Context

SPEC = load()

#: What a reply may be, by the form of the command.
VALUE = re.compile(r"OK =[^\n]*\n|(![^\n]*\n)*\.\n|ERR [A-Z][^\n]+\n")
DONE = re.compile(r"OK\n|ERR [A-Z][^\n]+\n")
NO_FORM = re.compile(r"ERR Unknown command\n")

#: Events of the blocks between two commands at most: a clock of 16 ns has more than any test has time for.
EVENTS = 200


@cache
def names() -> list[str]:
    """Return valid names: fields, their attributes, keys of the system commands, blocks."""
    panda = Simulation(SPEC).panda
    fields = [name for name in panda.fields if re.match(r"[A-Z_]*1?\.", name)]  # one of each kind of block
    return [
        *fields,
        *(f"{name}.{attribute}" for name in fields for attribute in panda.fields[name].attributes),
        *(f"*{name}" for name in SYSTEM),
        *(f"*METADATA.{key}" for key in panda.metadata),
        *(f"*{command}.{part}" for command in ("DESC", "ENUMS") for part in [*fields, "SEQ.TABLE[].TRIGGER", "SEQ"]),
        *(f"*CHANGES.{group}" for group in ("CONFIG", "BITS", "TABLE", "NOPE")),
        *("*PCAP.ARM", "*PCAP.DISARM", "*PCAP.STATUS", "*CAPTURE.*", "*CAPTURE.OPTIONS", "PULSE1.*", "SEQ1.TABLE.*"),
    ]


TEXT = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=30)
NUMBERS = st.one_of(
    st.integers(-(2**33), 2**33).map(str),
    st.floats().map(repr),
    st.sampled_from(["0x7fffffff", "1e308", "1e-308", "1e999", "-0", "+1", ".5", "٣", "1_0", "0b1", "  7", "7 "]),
)
WORDS = st.sampled_from(
    [
        *("ZERO", "ONE", "TTLIN1.VAL", "COUNTER1.OUT", "PULSE1.OUT", "Value", "Min Max Mean", "No"),
        *("A&~B", "A?B:C=>D", "s", "ms", "us", "min", "Rising", "S", "E", ""),
    ]
)
VALUES = st.one_of(NUMBERS, WORDS, TEXT)
NAMES = st.one_of(st.deferred(lambda: st.sampled_from(names())), TEXT)

QUERIES = NAMES.map(lambda name: [f"{name}?"])
ASSIGNMENTS = st.builds(lambda name, value: [f"{name}={value}"], NAMES, VALUES)
TABLE_NAMES = st.sampled_from(["SEQ1.TABLE", "PGEN1.TABLE", "*METADATA.LAYOUT", "PULSE1.DELAY", "NOPE"])
ROWS = st.one_of(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8).map(lambda words: " ".join(map(str, words))),
    st.binary(min_size=4, max_size=32).map(lambda data: b64encode(data).decode()),
    TEXT.filter(bool),
)
TABLES = st.builds(
    lambda name, form, lines: [f"{name}<{form}", *lines, ""],
    TABLE_NAMES,
    st.sampled_from(["", "B", "<", "<B", "<|", "<|B", "|", "?"]),
    st.lists(ROWS, max_size=6),
)
COMMANDS = st.one_of(QUERIES, ASSIGNMENTS, TABLES, TEXT.map(lambda text: [text]))


def expected(line: str) -> re.Pattern[str] | None:
    """Return the form of the reply to the first line of a command; None for a table write."""
    form = next((character for character in line.partition("\0")[0] if character in "?=<"), "")
    return {"?": VALUE, "=": DONE, "<": None, "": NO_FORM}[form]


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(COMMANDS, max_size=12), st.integers(0, 10**6))
def test_each_command_has_one_reply(commands: list[list[str]], ticks: int) -> None:
    simulation = Simulation(SPEC)
    session = Session(Context(simulation.panda, simulation.capture))

    def say(*lines: str) -> str:
        return b"".join(session.receive("".join(f"{line}\n" for line in lines).encode())).decode()

    for first, *rest in commands:
        reply, wanted = say(first), expected(first)
        if wanted is None:
            assert not reply
            reply, wanted = say(*filter(None, rest), ""), DONE  # the rows are answered once, after a blank line
        assert wanted.fullmatch(reply), (first, reply)
        simulation.advance(ticks, limit=EVENTS)
        simulation.refresh()
    assert say("*CLOCK_FREQ?") == "OK =125000000\n"


@settings(deadline=None, max_examples=20)
@given(st.binary(max_size=400), st.lists(st.integers(0, 400)))
def test_any_bytes_give_the_same_replies_in_any_split(data: bytes, cuts: list[int]) -> None:
    def replies(pieces: list[bytes]) -> bytes:
        simulation = Simulation(SPEC)
        session = Session(Context(simulation.panda, simulation.capture))
        said = b""
        try:
            for piece in pieces:
                said += b"".join(session.receive(piece))
            said += b"".join(session.receive(b"\n\n*CLOCK_FREQ?\n"))
        except LineTooLong:
            return said + b"too long"
        return said

    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    pieces = [data[start:end] for start, end in zip(places, places[1:], strict=False)]
    whole = replies([data])
    assert whole.endswith((b"OK =125000000\n", b"too long"))
    assert replies(pieces) == whole


async def test_garbage_over_tcp_does_not_affect_other_connections(panda: Server) -> None:
    """Each connection is closed or continues to reply; another one is served meanwhile."""
    chance = random.Random(7)
    words = [b"PULSE1.", b"SEQ1.TABLE<", b"?", b"=", b"\n", b"\n\n", b"*CHANGES?\n", b"\0", b"\xff", b"x" * 600]
    async with asyncio.timeout(60), AsyncioClient("127.0.0.1", panda.control_port) as other:
        for turn in range(100):
            reader, writer = await asyncio.open_connection("127.0.0.1", panda.control_port)
            writer.write(b"".join(chance.choices(words, k=chance.randrange(12))) + b"\n\n*ECHO turn?\n")
            if turn % 2:  # the other half disconnects without reading
                with contextlib.suppress(asyncio.IncompleteReadError):  # closed because a line was too long
                    await reader.readuntil(b"OK =turn\n")
            writer.close()
            assert await other.send(GetLine("*CLOCK_FREQ")) == "125000000"
