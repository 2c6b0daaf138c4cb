"""A connection to the data port of a simulated PandA, from its options to the end of each acquisition."""

import asyncio
import binascii
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from .capture import Acquisition, Capture, Words
from .faults import Faults
from .layout import text_header, xml_header
from .numbers import Refused, format_float

#: Size limits of a frame in bytes, as in real servers.
_RAW_FRAME = 2 << 20
_SCALED_FRAME = 64 << 10

#: Bytes of data in a line of base64.
_BASE64_LINE = 57


@dataclass(frozen=True)
class Options:
    """The data format that a client requested; the defaults are those of the protocol."""

    format: str = "ASCII"
    scaled: bool = True
    xml: bool = False
    header: bool = True
    status: bool = True
    one_shot: bool = False


#: The effect of each word of the options line.
_WORDS: dict[str, dict[str, Any]] = {
    **{name: {"format": name} for name in ("FRAMED", "UNFRAMED", "BASE64", "ASCII")},
    "RAW": {"scaled": False},
    "SCALED": {"scaled": True},
    "XML": {"xml": True},
    "NO_HEADER": {"header": False},
    "NO_STATUS": {"status": False},
    "ONE_SHOT": {"one_shot": True},
    "BARE": {"format": "UNFRAMED", "scaled": False, "header": False, "status": False, "one_shot": True},
    "DEFAULT": {field.name: field.default for field in fields(Options)},
}

_FORMAT_NAMES = {"FRAMED": "Framed", "UNFRAMED": "Unframed", "BASE64": "Base64", "ASCII": "ASCII"}


def parse_options(line: str) -> Options:
    """Parse an options line: words separated by spaces or tabs; later words override earlier ones."""
    options = Options()
    for word in re.split("[ \t]+", line) if line else ():
        if word not in _WORDS:
            raise Refused("Invalid data capture option")
        options = replace(options, **_WORDS[word])
    return options


class DataPort:
    """A connection to the data port.

    Args:
        connection: non-blocking socket; the caller closes it
        capture: source of acquisitions
        faults: faults to inject
    """

    def __init__(self, connection: socket.socket, capture: Capture, faults: Faults) -> None:
        self._socket = connection
        self._capture = capture
        self._faults = faults
        self._loop = asyncio.get_running_loop()

    async def serve(self) -> None:
        """Serve until the client disconnects, or has received its acquisition in one-shot mode."""
        line = await self._options_line()
        try:
            options = parse_options(line)
        except Refused as refused:
            await self._send(f"ERR {refused}\n".encode())
            return
        last = None if self._capture.busy else self._capture.acquisition
        if options.status:
            await self._send(b"OK\n")
        self._capture.readers += 1
        tasks = [asyncio.create_task(task) for task in (self._until_gone(), self._acquisitions(options, last))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._capture.readers -= 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _options_line(self) -> str:
        line = b""
        while not line.endswith(b"\n") and len(line) < 1024:
            more = await self._loop.sock_recv(self._socket, 1)
            if not more:
                break
            line += more
        return line.decode(errors="replace").rstrip("\n")

    async def _until_gone(self) -> None:
        while await self._loop.sock_recv(self._socket, 4096):
            pass

    async def _acquisitions(self, options: Options, last: Acquisition | None) -> None:
        while True:
            last = await self._capture.next(last)
            await self._acquisition(last, options)
            if options.one_shot:
                return

    async def _acquisition(self, acquisition: Acquisition, options: Options) -> None:
        while not acquisition.start_time:
            await acquisition.wait()
        at = missed = acquisition.first
        if options.header:
            await self._send(header(acquisition, options, missed))
        reason = ""
        while not reason:
            words = acquisition.read(at, samples_at_once(acquisition, options))
            if words is None:
                reason = "Data overrun"
            elif len(words):
                at += len(words)
                await self._send(encoded(acquisition, words, options), samples=True)
            elif acquisition.reason:
                reason = acquisition.reason
            else:
                await acquisition.wait()
        if self._faults.corrupt_last_frame and options.format == "FRAMED":
            garbage = np.random.default_rng(0).bytes(acquisition.layout.words * 4)
            await self._send(b"BIN " + (len(garbage) + 8).to_bytes(4, "little") + garbage)
        if options.status:
            await self._send(f"END {at - missed} {reason}\n".encode())

    async def _send(self, data: bytes, *, samples: bool = False) -> None:
        await self._faults.stall.wait()
        if samples and self._faults.cut is not None:
            self._faults.cut -= len(data)
            if self._faults.cut < 0:
                data = data[: self._faults.cut]
                await self._loop.sock_sendall(self._socket, data)
                raise ConnectionAbortedError("connection cut by fault injection")
        await self._loop.sock_sendall(self._socket, data)


def samples_at_once(acquisition: Acquisition, options: Options) -> int:
    """Return the maximum number of samples in a frame."""
    limit, dtype = (
        (_SCALED_FRAME, acquisition.layout.scaled_dtype)
        if options.scaled
        else (_RAW_FRAME, acquisition.layout.raw_dtype)
    )
    return max(1, (limit - 8) // dtype.itemsize)


def header(acquisition: Acquisition, options: Options, missed: int) -> bytes:
    """Return the header of an acquisition."""
    layout = acquisition.layout
    about = [("arm_time", acquisition.arm_time), ("start_time", acquisition.start_time)]
    if acquisition.hw_time_offset_ns is not None:
        about.append(("hw_time_offset_ns", str(acquisition.hw_time_offset_ns)))
    about += [
        ("missed", str(missed)),
        ("process", "Scaled" if options.scaled else "Raw"),
        ("format", _FORMAT_NAMES[options.format]),
    ]
    if options.format != "ASCII":
        dtype = layout.scaled_dtype if options.scaled else layout.raw_dtype
        about.append(("sample_bytes", str(dtype.itemsize)))
    make = xml_header if options.xml else text_header
    return make(layout, about, scaled=options.scaled).encode()


def encoded(acquisition: Acquisition, words: Words, options: Options) -> bytes:
    """Return samples in the format that the client requested.

    Args:
        acquisition: the acquisition that they belong to
        words: raw samples, shape (samples, words), dtype uint32
        options: data format
    """
    layout = acquisition.layout
    data = np.ascontiguousarray(words, "<u4").tobytes()
    if options.scaled:
        scaled = layout.scale(np.frombuffer(data, layout.raw_dtype))
        if options.format == "ASCII":
            return _lines(scaled.tolist(), _number)
        data = scaled.tobytes()
    elif options.format == "ASCII":
        return _lines(words.tolist(), "{:08X}".format)
    if options.format == "FRAMED":
        return b"BIN " + (len(data) + 8).to_bytes(4, "little") + data
    if options.format == "BASE64":
        lines = (data[start : start + _BASE64_LINE] for start in range(0, len(data), _BASE64_LINE))
        # A real server also sends the NUL that ends its string.
        return b"".join(b" " + binascii.b2a_base64(line, newline=False) + b"\0\n" for line in lines)
    return data


def _lines(rows: Iterable[Iterable[float]], form: Callable[[float], str]) -> bytes:
    return "".join(f" {' '.join(map(form, row))}\n" for row in rows).encode()


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else format_float(value)
