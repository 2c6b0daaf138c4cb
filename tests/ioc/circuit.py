"""A raw Channel Access circuit: one TCP connection to a server, like that of a short-lived client.

Client libraries share circuits within a process, so they can neither act as many users at the same time nor disconnect
during a put.
"""

import asyncio
import itertools
import struct
from collections.abc import Mapping
from typing import Self

_HEADER = struct.Struct(">HHHHII")

#: Commands of the Channel Access protocol.
_VERSION, _WRITE, _READ_NOTIFY, _CREATE, _WRITE_NOTIFY = 0, 4, 15, 18, 19
_CLIENT, _HOST, _REFUSED = 20, 21, 26

_DOUBLE, _STRING = 6, 0

#: Status of a successful request.
NORMAL = 1

#: Status of a refused put: ECA_PUTFAIL of caerr.h, "Channel write request failed".
PUT_FAILED = 160

#: Status of a put without write access: ECA_NOWTACCESS of caerr.h, "Write access denied".
DENIED = 376


class Circuit:
    """A circuit of one user to a server on this host."""

    def __init__(self, port: int, user: str = "nobody", host: str = "localhost") -> None:
        self._port, self._user, self._host = port, user, host
        self._numbers = itertools.count(1)
        self._channels: dict[str, int] = {}
        self._answers: dict[tuple[int, int], asyncio.Future[tuple[int, bytes]]] = {}

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._send(_VERSION, count=13)
        self._send(_CLIENT, _text(self._user))
        self._send(_HOST, _text(self._host))
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        self._writer.transport.abort()

    async def put(self, pv: str, value: float | str) -> int:
        """Write with completion; return the status."""
        return (await asyncio.wait_for(await self.begin(pv, value), 30))[0]

    async def begin(self, pv: str, value: float | str) -> "asyncio.Future[tuple[int, bytes]]":
        """Send a write with completion; return the future of its status."""
        channel, number = await self._channel(pv), next(self._numbers)
        answer = self._answer(_WRITE_NOTIFY, number)
        self._write_value(_WRITE_NOTIFY, channel, number, value)
        return answer

    async def write(self, pv: str, value: float | str) -> None:
        """Write without completion; return when the server has processed it."""
        self._write_value(_WRITE, await self._channel(pv), next(self._numbers), value)
        await self.get(pv)

    async def get(self, pv: str) -> float:
        """Read a number."""
        channel, number = await self._channel(pv), next(self._numbers)
        answer = self._answer(_READ_NOTIFY, number)
        self._send(_READ_NOTIFY, kind=_DOUBLE, count=1, first=channel, second=number)
        _, data = await asyncio.wait_for(answer, 30)
        return float(struct.unpack_from(">d", data)[0])

    async def connect(self, *pvs: str) -> Mapping[str, int]:
        """Connect to records, so that each later call needs only one message."""
        for pv in pvs:
            await self._channel(pv)
        return self._channels

    async def _channel(self, pv: str) -> int:
        if pv not in self._channels:
            number = next(self._numbers)
            answer = self._answer(_CREATE, number)
            self._send(_CREATE, _text(pv), first=number, second=13)
            code, _ = await asyncio.wait_for(answer, 30)
            assert code >= 0, f"there is no {pv}"
            self._channels[pv] = code
        return self._channels[pv]

    def _answer(self, command: int, number: int) -> "asyncio.Future[tuple[int, bytes]]":
        future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._answers[command, number] = future
        return future

    def _write_value(self, command: int, channel: int, number: int, value: float | str) -> None:
        if isinstance(value, str):
            self._send(command, _text(value), kind=_STRING, count=1, first=channel, second=number)
        else:
            self._send(command, struct.pack(">d", value), kind=_DOUBLE, count=1, first=channel, second=number)

    def _send(
        self, command: int, data: bytes = b"", *, kind: int = 0, count: int = 0, first: int = 0, second: int = 0
    ) -> None:
        self._writer.write(_HEADER.pack(command, len(data), kind, count, first, second) + data)

    async def _read(self) -> None:
        while True:
            command, size, _, _, first, second = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
            data = await self._reader.readexactly(size)
            match command:
                case 18:
                    self._set((_CREATE, first), (second, data))
                case 26:
                    self._set((_CREATE, first), (-1, data))
                case 15 | 19:
                    self._set((command, second), (first, data))

    def _set(self, key: tuple[int, int], answer: tuple[int, bytes]) -> None:
        future = self._answers.pop(key, None)
        if future is not None and not future.done():
            future.set_result(answer)


def _text(text: str) -> bytes:
    """Encode a text for the protocol: NUL-terminated, padded to a multiple of eight bytes."""
    data = text.encode() + b"\0"
    return data + bytes(-len(data) % 8)
