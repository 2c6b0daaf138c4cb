"""Both halves of the protocol with damaged data of servers: only documented errors, and limited memory.

The variable FUZZ_INPUTS sets the number of inputs: a million on request.
"""

import os
import random
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from panda_ioc.protocol import (
    Command,
    ControlConnection,
    DataConnection,
    FrameData,
    GetBlockInfo,
    GetChanges,
    GetFieldInfo,
    GetLine,
    GetMultiline,
    GetState,
    GetTable,
    Identify,
    PandaError,
    Put,
)

from .. import samples
from ..peers import Peers

INPUTS = int(os.environ.get("FUZZ_INPUTS", "3000"))

COMMANDS: tuple[Command[object], ...] = (
    *(Identify(), GetBlockInfo(), GetFieldInfo("PULSE"), GetFieldInfo("SEQ"), GetFieldInfo("PCAP"), GetChanges()),
    *(GetLine("PULSE1.DELAY"), GetMultiline("SEQ1.TABLE"), GetTable("PGEN1.TABLE"), Put("PULSE1.DELAY", "1")),
    GetState(),
)

#: Insertions into damaged inputs: protocol elements, too large numbers, random bytes.
PIECES = (
    *(b"OK\n", b"OK =", b"ERR ", b"!", b".\n", b"\n", b"\r\n", b"=", b"<", b"BIN ", b"END 5 Ok\n", b"</header>\n\n"),
    *(b"-1", b"99999999999999999999", b"nan", b"1e999", b"\x00", b"\xff\xff\xff\xff", b"\xc3", b"!" * 300, b"x" * 3000),
)

#: A frame size larger than any input, in bytes.
MOST_BYTES = 1 << 25

#: Memory limits in bytes: at the end, and at any time.
HELD, PEAK = 20_000_000, 60_000_000


def replies() -> list[bytes]:
    """Return the reply of the simulated PandA to each command."""
    answers = []
    for command in COMMANDS:
        peers = Peers()
        connection, said = ControlConnection(), b""
        to_send = connection.send(command)
        while to_send:
            answered = b"".join(peers.session.receive(to_send))
            said += answered
            to_send = connection.receive_bytes(answered)
        answers.append(said)
    return answers


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return damaged bytes."""
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(data) + 1), chance.randrange(40)
        match chance.randrange(4):
            case 0:
                data = data[:at] + chance.choice(PIECES) + data[at:]
            case 1:
                data = data[:at] + data[at + length :]
            case 2:
                data = data[:at] + chance.randbytes(length) + data[at + length :]
            case _:
                data = data[at:] + data[:at]
    return data


def pieces_of(data: bytes, length: int) -> Iterator[bytes]:
    """Yield the bytes in pieces of a length, then b"" as at the end of a stream."""
    yield from (data[start : start + length] for start in range(0, len(data), length))
    yield b""


def pieces(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """Yield the bytes in random pieces, then b"" as at the end of a stream."""
    while data:
        length = chance.choice((1, 7, 100, 5000))
        yield data[:length]
        data = data[length:]
    yield b""


def into_control(answers: list[bytes], chance: random.Random) -> None:
    number = chance.randrange(len(COMMANDS))
    connection = ControlConnection()
    connection.send(COMMANDS[number])
    connection.send(GetLine("PULSE1.DELAY"))
    for piece in pieces(damaged(answers[number][:20_000] + b"OK =1\n", chance), chance):
        connection.receive_bytes(piece)
        for _, response in connection.responses():
            assert not isinstance(response, Exception) or isinstance(response, PandaError)


def into_data(acquisitions: list[bytes], chance: random.Random) -> None:
    connection = DataConnection()
    connection.connect(False)
    for piece in pieces(damaged(chance.choice(acquisitions), chance), chance):
        for data in connection.receive_bytes(piece, flush_every_frame=chance.random() < 0.5):
            assert not isinstance(data, FrameData) or data.data.nbytes < MOST_BYTES


@pytest.mark.parametrize("half", ["control", "data"])
def test_only_documented_errors(half: str) -> None:
    inputs = replies() if half == "control" else [b"OK\n" + samples.acquisition(samples.rows(n)) for n in (1, 9, 40)]
    feed: Callable[[list[bytes], random.Random], None] = into_control if half == "control" else into_data
    tracemalloc.start()
    try:
        for seed in range(INPUTS):
            try:
                feed(inputs, random.Random(seed))
            except PandaError:
                pass
            except Exception as error:
                raise AssertionError(f"input {seed} of {half} raised {error!r}") from error
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < HELD
    assert peak < PEAK
