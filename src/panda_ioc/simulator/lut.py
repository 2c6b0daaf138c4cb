"""The function of a LUT block: compiles an expression of A to E to a truth table of 32 bits.

Bit A*16 + B*8 + C*4 + D*2 + E of the table is the value for these inputs. Operators, highest precedence first: `~`,
`=`, `&`, `^`, `|`, `=>`, `? :`; 0 and 1 are constants. A number that begins with `0x` is the table itself. The
precedence was observed on server 4.1.
"""

import re
from collections.abc import Callable

from .numbers import Refused, parse_integer, wrap_unsigned

_ALL = 0xFFFFFFFF
_OPERANDS = {
    "A": 0xFFFF0000,
    "B": 0xFF00FF00,
    "C": 0xF0F0F0F0,
    "D": 0xCCCCCCCC,
    "E": 0xAAAAAAAA,
    "0": 0,
    "1": _ALL,
}

#: Binary operators, lowest precedence first.
_BINARY: tuple[tuple[str, Callable[[int, int], int]], ...] = (
    ("=>", lambda left, right: ~left | right),
    ("|", lambda left, right: left | right),
    ("^", lambda left, right: left ^ right),
    ("&", lambda left, right: left & right),
    ("=", lambda left, right: ~(left ^ right)),
)

#: An operator, or a word of digits and letters in the place of an operand.
_TOKEN = re.compile(r"[ \t]*(=>|[=&^|~?:()]|[0-9A-Za-z_]+|.)[ \t]*")
_OPERATORS = frozenset(["=>", *"=&^|~?:()"])


def table(function: str) -> int:
    """Return the truth table of a function.

    Raises:
        Refused: the text is neither an expression nor a number
    """
    text = function.strip(" \t")
    if text[:2].lower() == "0x":
        return wrap_unsigned(parse_integer(text))
    parser = _Parser(_tokens(text))
    value = parser.choice()
    if parser.tokens:
        raise Refused("Unexpected text after expression")
    return value & _ALL


def _tokens(text: str) -> list[str]:
    tokens: list[str] = _TOKEN.findall(text)
    if not all(token in _OPERATORS or token in _OPERANDS for token in tokens):
        raise Refused("Invalid token")
    return tokens[::-1]


#: Limit of nested brackets and negations; no real function needs a tenth of it.
_MAX_DEPTH = 32


class _Parser:
    """A recursive descent parser; the tokens are a stack with the next one on top."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.depth = 0

    def accept(self, token: str) -> bool:
        if self.tokens[-1:] != [token]:
            return False
        self.tokens.pop()
        return True

    def choice(self) -> int:
        condition = self.binary(0)
        if not self.accept("?"):
            return condition
        yes = self.deeper(self.choice)
        if not self.accept(":"):
            raise Refused("Character ':' expected")
        no = self.deeper(self.choice)
        return (condition & yes) | (~condition & no)

    def binary(self, level: int) -> int:
        if level == len(_BINARY):
            return self.unary()
        operator, operate = _BINARY[level]
        value = self.binary(level + 1)
        while self.accept(operator):
            value = operate(value, self.binary(level + 1))
        return value

    def unary(self) -> int:
        if self.accept("~"):
            return ~self.deeper(self.unary)
        if self.accept("("):
            value = self.deeper(self.choice)
            if not self.accept(")"):
                raise Refused("Character ')' expected")
            return value
        if self.tokens and self.tokens[-1] in _OPERANDS:
            return _OPERANDS[self.tokens.pop()]
        raise Refused("Invalid expression")

    def deeper(self, parse: Callable[[], int]) -> int:
        if self.depth == _MAX_DEPTH:
            raise Refused("Expression is too complicated")
        self.depth += 1
        value = parse()
        self.depth -= 1
        return value
