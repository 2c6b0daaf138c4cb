"""Many clients in one process: each monitors some PVs, and only counts what comes. `load.py` starts it.

    python benchmarks/crowd.py ca 200 names.txt

Channel Access clients are raw circuits, as the libraries share one among all users of a process; each takes what
comes as fast as it can and does not look at it, so that a crowd costs little beside the server. The process prints a
line when all have their first values, then, for each line of its input, how many bytes (CA) or updates (PVA) came.
"""

import itertools
import os
import select
import socket
import struct
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HEADER = struct.Struct(">HHHHII")
LARGE = struct.Struct(">II")
VERSION, EVENT, WRITE_NOTIFY, CREATE, CLIENT, HOST = 0, 1, 19, 18, 20, 21

#: From a native type to the one with a time stamp; the mask of value and alarm.
_TIME, _MASK = 14, 5

_READ_BYTES = 1 << 18


def text(value: str) -> bytes:
    """Return text as Channel Access encodes it."""
    data = value.encode() + b"\0"
    return data + bytes(-len(data) % 8)


class Circuit:
    """A circuit with a blocking socket."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(
            HEADER.pack(VERSION, 0, 0, 13, 0, 0) + self._message(CLIENT, b"bench") + self._message(HOST, b"localhost")
        )
        self._buffer = b""
        self._numbers = itertools.count(1)

    @staticmethod
    def _message(
        command: int, payload: bytes, *, kind: int = 0, count: int = 0, first: int = 0, second: int = 0
    ) -> bytes:
        payload += bytes(-len(payload) % 8)
        return HEADER.pack(command, len(payload), kind, count, first, second) + payload

    def messages(self) -> Iterator[tuple[int, int, int, int, int, bytes]]:
        """Give what the server says: command, type, count, the two numbers, data."""
        while True:
            start = 0
            while start + HEADER.size <= len(self._buffer):
                command, size, kind, count, first, second = HEADER.unpack_from(self._buffer, start)
                data = start + HEADER.size
                if size == 0xFFFF and count == 0 and data + LARGE.size <= len(self._buffer):
                    size, count = LARGE.unpack_from(self._buffer, data)
                    data += LARGE.size
                if data + size > len(self._buffer):
                    break
                start = data + size
                yield command, kind, count, first, second, self._buffer[data:start]
            self._buffer = self._buffer[start:] + self.socket.recv(_READ_BYTES)

    def create(self, pvs: Sequence[str]) -> list[tuple[int, int]]:
        """Connect to PVs; return the server's number and the native type of each."""
        self.socket.sendall(
            b"".join(self._message(CREATE, text(pv), first=number, second=13) for number, pv in enumerate(pvs))
        )
        found: dict[int, tuple[int, int]] = {}
        for command, kind, _, first, second, _ in self.messages():
            if command == CREATE:
                found[first] = second, kind
                if len(found) == len(pvs):
                    break
        return [found[number] for number in range(len(pvs))]

    def monitor(self, pvs: Sequence[str]) -> None:
        """Monitor PVs; return when each has its first value."""
        payload = struct.pack(">fffHH", 0, 0, 0, _MASK, 0)
        channels = self.create(pvs)
        self.socket.sendall(
            b"".join(
                self._message(EVENT, payload, kind=kind + _TIME, first=channel, second=number)
                for number, (channel, kind) in enumerate(channels)
            )
        )
        waiting = set(range(len(pvs)))
        for command, _, _, _, second, _ in self.messages():
            if command == EVENT:
                waiting.discard(second)
                if not waiting:
                    break

    def put(self, channel: int, value: float) -> None:
        """Write a number with completion, and wait for that."""
        number = next(self._numbers)
        self.socket.sendall(
            self._message(WRITE_NOTIFY, struct.pack(">d", value), kind=6, count=1, first=channel, second=number)
        )
        for command, _, _, first, second, _ in self.messages():
            if command == WRITE_NOTIFY and second == number:
                if first != 1:
                    raise SystemExit(f"a put of {value} was refused: {first}")
                return


class CaCrowd:
    """Circuits that each monitor all PVs; a thread takes what comes."""

    def __init__(self, count: int, pvs: Sequence[str]) -> None:
        self.came = 0
        self._sockets = {}
        self._poll = select.epoll()
        for _ in range(count):
            circuit = Circuit(int(os.environ["EPICS_CA_SERVER_PORT"]))
            if pvs:
                circuit.monitor(pvs)
            circuit.socket.setblocking(False)
            self._sockets[circuit.socket.fileno()] = circuit.socket
            self._poll.register(circuit.socket, select.EPOLLIN)
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        buffer = bytearray(_READ_BYTES)
        while True:
            for descriptor, _ in self._poll.poll():
                size = self._sockets[descriptor].recv_into(buffer)
                if not size:
                    os._exit(1)  # the server is gone
                self.came += size


class PvaCrowd:
    """Clients of p4p that each monitor all PVs."""

    def __init__(self, count: int, pvs: Sequence[str]) -> None:
        from p4p.client.thread import Context

        self.came = 0
        self._kept = [self._client(Context("pva", nt=False), pvs) for _ in range(count)]

    def _client(self, context: Any, pvs: Sequence[str]) -> list[Any]:
        missing, came = set(pvs), threading.Event()

        def told(pv: str) -> None:
            self.came += 1
            missing.discard(pv)
            if not missing:
                came.set()

        kept = [context]
        for _ in range(20):  # p4p loses one whose first value comes too soon: what is missing is asked again
            kept += [context.monitor(pv, lambda _, pv=pv: told(pv)) for pv in sorted(missing)]
            if came.wait(4):
                return kept
        raise SystemExit(f"no value of {len(missing)} PVs, such as {sorted(missing)[:3]}")


def main() -> None:
    kind, count, names = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_text().split()
    crowd = (CaCrowd if kind == "ca" else PvaCrowd)(count, names)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(crowd.came, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
