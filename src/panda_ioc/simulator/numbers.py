"""The number formats of a PandA server.

It parses with C's strtoull and strtod: integers wrap to the width of their field, octal and hexadecimal are accepted,
spaces may lead, and only ASCII digits count. All this was observed in replies of server 4.1.
"""

import math
import re

#: What strtoull accepts with base 0: hexadecimal, octal, decimal.
_INTEGER = re.compile(r"[ \t\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")

#: What strtod accepts.
_FLOAT = re.compile(
    r"""[ \t\v\f\r]*[+-]?(
        0x([0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(p[+-]?[0-9]+)?
        |([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?
        |inf(inity)?|nan
    )""",
    re.IGNORECASE | re.VERBOSE,
)

#: Ticks of the FPGA clock per second; seconds per tick; seconds per unit of time.
CLOCK = 125_000_000
TICK = 8e-9
TIME_UNITS = {"min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}


class Refused(Exception):  # noqa: N818 - a reply, not an error of the program
    """A refused command: the text of an `ERR` reply, or the reason why the simulator cannot do something.

    Example:
        >>> Simulation(load()).set_up(["PULSE1.WIDTH=-1"])
        Traceback (most recent call last):
        panda_ioc.simulator.numbers.Refused: PULSE1.WIDTH=-1: Time setting out of range
    """


def parse_integer(text: str) -> int:
    """Parse an integer of up to 64 bits and a sign, in decimal, octal or hexadecimal, with nothing after it.

    Raises:
        Refused: the text is not such an integer
    """
    match = _INTEGER.match(text)
    if not match:
        raise Refused("Number missing")
    if match.end() != len(text):
        raise Refused("Unexpected character after input")
    digits = match[2].lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    value = int(digits, base) if len(digits) < _MOST_DIGITS else 1 << 64
    if value >= 1 << 64:
        raise Refused("Number out of range")
    return -value if match[1] == "-" else value


#: More digits than any number below 2**64 has, except for leading zeros.
_MOST_DIGITS = 100


def parse_float(text: str) -> float:
    """Parse a float, which may be hexadecimal, infinite or NaN, with nothing after it.

    Raises:
        Refused: the text is not a number, or its exponent is too large
    """
    match = _FLOAT.match(text)
    if not match:
        raise Refused("Number missing")
    if match.end() != len(text):
        raise Refused("Unexpected character after input")
    number = match[0].strip().lower()
    try:
        value = float.fromhex(number) if "0x" in number else float(number)
    except OverflowError:
        value = math.inf
    if math.isinf(value) and "inf" not in number:
        raise Refused("Number out of range")
    return value


def to_integer(value: float) -> int:
    """Round to the nearest integer, of any size; round halves away from 0.

    Raises:
        Refused: the value is infinite or NaN
    """
    if not math.isfinite(value):
        raise Refused("Number out of range")
    nearest = math.floor(abs(value) + 0.5)
    return -nearest if value < 0 else nearest


def wrap_unsigned(value: int) -> int:
    """Return the low 32 bits."""
    return value & 0xFFFFFFFF


def wrap_signed(value: int) -> int:
    """Return the low 32 bits in two's complement."""
    return ((value + 2**31) & 0xFFFFFFFF) - 2**31


def format_float(value: float) -> str:
    """Format a value with 10 significant digits; some times in ticks have more."""
    return f"{value:.10g}"


def format_scaling(value: float) -> str:
    """Format a scale or an offset for a data header, with 12 significant digits."""
    return f"{value:.12g}"
