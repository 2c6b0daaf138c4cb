"""Commands that read or write one value, and PCAP and identity commands."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .errors import LocalProtocolError, RemoteProtocolError
from .exchange import Command, Conversation, Request, ask, field_name, text

#: A value that fits in one line.
Scalar = str | int | float

#: The same types at run time, including numpy scalars.
_Scalar = (str, int, float, np.bool_, np.integer, np.floating)


@dataclass(frozen=True)
class Raw(Command[list[str]]):
    """Send a command as text. The response is the reply as a list of lines, exactly as sent by the server.

    An `ERR` reply is returned, not raised.

    Args:
        lines: the command line as str, or a list of lines; a table write has its data and a final empty line

    Raises:
        LocalProtocolError: the lines are not exactly one command

    Example:
        >>> Raw("PULSE1.DELAY?")
        Raw(lines='PULSE1.DELAY?')
        >>> Raw(["SEQ1.TABLE<", "1", "2", "3", "4", ""]).lines[-1]
        ''
    """

    lines: Sequence[str]

    def conversation(self) -> Conversation[list[str]]:
        lines = [self.lines] if isinstance(self.lines, str) else list(self.lines)
        if len(lines) == 1:
            request = Request(lines[0])
        elif lines and lines[-1] == "":
            request = Request(lines[0], lines[1:-1])
        else:
            raise LocalProtocolError(
                f"{lines!r} is not one command: send one line, or a table write that ends with an empty line"
            )
        (reply,) = yield [request]
        if reply.error is not None:
            return [f"ERR {reply.error}"]
        if reply.lines is not None:
            return [*(f"!{text(line)}" for line in reply.lines), "."]
        return ["OK" if reply.value is None else f"OK ={text(reply.value)}"]


@dataclass(frozen=True)
class Get(Command[bytes | list[bytes]]):
    r"""Read a value. The response is `bytes`, or a list of `bytes` for a multi-line value.

    Args:
        field: name of a field, attribute or `*` command, without `?`: "PULSE1.DELAY", "SEQ1.TABLE.B", `*IDN`

    Raises:
        LocalProtocolError: the name is empty or contains `?`, `=` or `<`
        CommandError: the server refuses the name

    Example:
        >>> connection = ControlConnection()
        >>> connection.send(Get("PULSE1.DELAY"))
        b'PULSE1.DELAY?\n'
    """

    field: str

    def conversation(self) -> Conversation[bytes | list[bytes]]:
        reply = yield from ask(f"{field_name(self.field)}?")
        return reply.any()


@dataclass(frozen=True)
class GetLine(Command[str]):
    """Read a one-line value. The response is `str`.

    Args:
        field: name of a field, attribute or `*` command, without `?`

    Raises:
        LocalProtocolError: the name is empty or contains `?`, `=` or `<`
        CommandError: the server refuses the name
        RemoteProtocolError: the value has several lines
    """

    field: str

    def conversation(self) -> Conversation[str]:
        reply = yield from ask(f"{field_name(self.field)}?")
        return reply.line()


@dataclass(frozen=True)
class GetMultiline(Command[list[str]]):
    """Read a multi-line value. The response is a list of `str`.

    Args:
        field: name of a field, attribute or `*` command, without `?`

    Raises:
        LocalProtocolError: the name is empty or contains `?`, `=` or `<`
        CommandError: the server refuses the name
        RemoteProtocolError: the value has one line
    """

    field: str

    def conversation(self) -> Conversation[list[str]]:
        reply = yield from ask(f"{field_name(self.field)}?")
        return reply.multiline()


@dataclass(frozen=True)
class Put(Command[None]):
    r"""Write a value. The response is `None`.

    Args:
        field: name of a field, attribute or `*` command, without `=`
        value: str, int, float or bool (sent as 1 or 0); "" for an action. A list of lines or an (n,) array of numbers
            is sent as a multi-line value: `*METADATA.LAYOUT`, or a table as decimal numbers

    Raises:
        LocalProtocolError: the name or the value cannot be sent
        CommandError: the server refuses the name or the value

    Example:
        >>> connection = ControlConnection()
        >>> connection.send(Put("PULSE1.DELAY", 0.5))
        b'PULSE1.DELAY=0.5\n'
        >>> connection.send(Put("SEQ1.TABLE", [1, 2, 3, 4]))
        b'SEQ1.TABLE<\n1\n2\n3\n4\n\n'
    """

    field: str
    value: Scalar | Sequence[Scalar] | npt.NDArray[Any] = ""

    def conversation(self) -> Conversation[None]:
        name, value = field_name(self.field), cast("object", self.value)
        if isinstance(value, _Scalar):
            request = Request(f"{name}={_text(value, name)}")
        elif isinstance(value, Sequence | np.ndarray) and not isinstance(value, bytes | bytearray):
            request = Request(f"{name}<", [_text(line, name) for line in value])
        else:
            raise _cannot_write(value, name)
        (reply,) = yield [request]
        reply.ok()


@dataclass(frozen=True)
class Arm(Command[None]):
    """Arm PCAP. The response is `None`.

    Raises:
        CommandError: PCAP is already armed, or no field is set to be captured
    """

    def conversation(self) -> Conversation[None]:
        (yield from ask("*PCAP.ARM=")).ok()


@dataclass(frozen=True)
class Disarm(Command[None]):
    """Disarm PCAP. The response is `None`. The server also accepts this while PCAP is idle."""

    def conversation(self) -> Conversation[None]:
        (yield from ask("*PCAP.DISARM=")).ok()


@dataclass(frozen=True)
class Identity:
    """The versions of a PandA, returned by `Identify`.

    Attributes:
        software: version of the server software, which is also the protocol version: "4.1"
        fpga: version of the FPGA image
        rootfs: version of the root file system; "" from servers before 1.1
    """

    software: str
    fpga: str
    rootfs: str

    @property
    def software_version(self) -> tuple[int, ...]:
        """The leading numbers of the software version: (4, 1); empty without numbers."""
        match = re.match(r"\d{1,9}(\.\d{1,9})*", self.software)
        return tuple(map(int, match[0].split("."))) if match else ()


@dataclass(frozen=True)
class Identify(Command[Identity]):
    """Get the versions of the PandA (`*IDN?`). The response is an `Identity`.

    A reply has the form `PandA SW: 4.1 FPGA: 0.0.0 00000000 00000000 rootfs: ...`; servers before 1.1 omit `rootfs:`.

    Raises:
        RemoteProtocolError: the reply has another form, so the server is not a PandA
    """

    def conversation(self) -> Conversation[Identity]:
        line = (yield from ask("*IDN?")).line()
        try:
            software, rest = line.removeprefix("PandA SW: ").split(" FPGA: ")
            fpga, *more = rest.split(" rootfs: ")
            (rootfs,) = more or ("",)
        except ValueError:
            raise RemoteProtocolError(f"'*IDN?' returned {line[:80]!r}: this is not a PandA") from None
        return Identity(software, fpga, rootfs)


def _text(value: object, field: str) -> str:
    """Format a value for a PandA: 1 and 0 for bool; integral floats without fraction, for integer fields."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    if isinstance(value, _Scalar):
        return str(value).removesuffix(".0")
    raise _cannot_write(value, field)


def _cannot_write(value: object, field: str) -> LocalProtocolError:
    kind = type(value).__name__
    return LocalProtocolError(
        f"{field}: cannot write {repr(value)[:80]} ({kind}): the value must be text, a number, or a list of these"
    )
