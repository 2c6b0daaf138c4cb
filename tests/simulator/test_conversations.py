"""The simulated PandA says what a real server said in the recorded conversations."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from panda_ioc.simulator import Simulation, load
from panda_ioc.simulator.session import LineTooLong

from ..peers import Peers

#: What a device may say in its own way.
OWN_WORDS = {"*IDN?", "*METADATA.APPNAME?"}

#: Told by blocks that run; the server that was recorded had none.
QUEUED = ".QUEUED_LINES?"


def conversations(path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Each command of a transcript, with its reply; the last ones need data that was not recorded."""
    command: list[str] = []
    reply: list[str] = []
    for line in [*path.read_text(encoding="utf-8").split("\n"), "#"]:
        if line.startswith("< "):
            reply.append(line[2:])
            continue
        if reply:
            yield command, reply
            command, reply = [], []
        if line.startswith("# == long table overflow"):
            return
        if line.startswith("> "):
            command.append(line[2:])


def unescaped(text: str) -> str:
    return text.encode().decode("unicode_escape").encode("latin-1").decode() if "\\x" in text else text


@pytest.mark.parametrize("running", [False, True], ids=["fields alone", "blocks that run"])
@pytest.mark.parametrize("name", ["system-commands.txt", "tables.txt"])
def test_a_recorded_conversation(shared: Path, name: str, running: bool) -> None:
    peers = Simulation(load()) if running else Peers()
    compared = 0
    for command, reply in conversations(shared / "recordings" / "transcripts" / name):
        answer = peers.say(*map(unescaped, command))
        if command[0] in OWN_WORDS or (running and command[0].endswith(QUEUED)):
            continue
        # Lists have no meaningful order on a real server.
        assert sorted(answer) == sorted(map(unescaped, reply)), command
        compared += 1
    assert compared > 50


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        ("PULSE1.PULSES=0x10; PULSE1.PULSES?", "OK; OK =16"),
        ("PULSE1.PULSES=4294967297; PULSE1.PULSES?", "OK; OK =1"),
        ("COUNTER1.MAX=2147483648; COUNTER1.MAX?", "OK; OK =-2147483648"),
        ("CALC1.SHIFT=3", "ERR Number out of range"),
        ("CALC1.SHIFT=", "ERR Number missing"),
        ("CALC1.SHIFT=1x", "ERR Unexpected character after input"),
        ("BITS.A=1; BITS1.A?; BITS.A=2", "OK; OK =1; ERR Number out of range"),
        ("TTLIN1.TERM=50-ohm", "ERR Invalid enumeration value"),
        ("TTLOUT1.VAL=ONE; TTLOUT1.VAL?", "OK; OK =ONE"),
        ("TTLOUT1.VAL=TTLIN7.VAL", "ERR Invalid enumeration value"),
        ("PULSE1.DELAY=1; PULSE1.DELAY.UNITS=ms; PULSE1.DELAY?", "OK; OK; OK =1000"),
        ("PULSE1.DELAY=1; PULSE1.DELAY.RAW?; PULSE1.DELAY=60", "OK; OK =125000000; OK"),
        ("PULSE1.DELAY=-1; SEQ1.PRESCALE=60", "ERR Number out of range; ERR Number out of range"),
        ("COUNTER1.OUT.SCALE=0.5; COUNTER1.OUT.OFFSET=-3; COUNTER1.OUT.SCALED?", "OK; OK; OK =-3"),
        ("COUNTER1.OUT.CAPTURE=Mean Min; COUNTER1.OUT.CAPTURE?", "OK; OK =Min Mean"),
        ("COUNTER1.OUT.CAPTURE=Value; *CAPTURE?; *CAPTURE=; *CAPTURE?", "OK; !COUNTER1.OUT Value; .; OK; ."),
        ("COUNTER1.OUT.CAPTURE=Value Value", "ERR Invalid capture option"),
        ("SRGATE1.FORCE_SET=; SRGATE1.FORCE_SET=1", "OK; ERR Unexpected text after command"),
        ("SRGATE1.FORCE_SET?; PCAP.TS_TRIG?", "ERR Field not readable; ERR Field not readable"),
        ("INENC1.SETP=3; INENC1.SETP?", "OK; ERR Field not readable"),
        ("PULSE1.QUEUED=3; TTLOUT3.VAL.MAX_DELAY=1", "ERR Field not writeable; ERR Attribute not writeable"),
        ("TTLOUT3.VAL.DELAY=31; TTLOUT3.VAL.DELAY=32", "OK; ERR Number out of range"),
        ("TTLOUT3.VAL.NOPE?; TTLOUT.VAL?", "ERR No such attribute; ERR Missing block number"),
        ("TTLOUT11.VAL?; TTLOUT0.VAL?; PCAP2.TRIG?", "; ".join(["ERR Invalid block number"] * 3)),
        ("; hello; *IDN? x", "ERR Unknown command; ERR Unknown command; ERR Unexpected text after command"),
        ("TTLIN1.VAL.CAPTURE_WORD?; PULSE1.OUT.OFFSET?", "OK =PCAP.BITS0; OK =1"),
        ("PULSE1.WIDTH.INFO?; SEQ1.TABLE.INFO?", "OK =time; OK =table"),
    ],
)
def test_values(lines: str, answer: str) -> None:
    assert "; ".join(Peers().say(*lines.split("; "))) == answer


def test_carriage_return_and_nul() -> None:
    peers = Peers()
    assert peers.say("*IDN?\r") == ["ERR Unexpected text after command"]
    assert peers.say("*CLOCK_FREQ?\0 nobody reads this") == ["OK =125000000"]


def test_a_line_that_is_too_long_ends_the_connection_after_what_came_before() -> None:
    peers = Peers()
    replies = peers.session.receive(b"*CLOCK_FREQ?\n" + b"*ECHO " + b"x" * 1017 + b"?\n")
    assert next(replies) == b"OK =125000000\n"
    with pytest.raises(LineTooLong):
        next(replies)
    with pytest.raises(LineTooLong):
        list(Peers().session.receive(b"x" * 1023))
    assert peers.say("*ECHO " + "x" * 1015 + "?") == ["OK =" + "x" * 1015]


def test_a_table_that_is_cut_off_stays_and_can_be_written_again() -> None:
    one = Peers()
    other = Peers(panda=one.panda)
    assert one.say("PGEN1.TABLE<", "1", "") == ["OK"]
    assert one.say("PGEN1.TABLE<", "2") == []
    assert other.say("PGEN1.TABLE<", "3", "") == ["ERR Table currently being written"]
    one.session.close()
    assert other.say("PGEN1.TABLE?") == ["!1", "."]
    assert other.say("PGEN1.TABLE<", "3", "") == ["OK"]
