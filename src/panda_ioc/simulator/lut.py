"""The function of a LUT block: an expression of A to E as a table of 32 bits.

Bit A*16 + B*8 + C*4 + D*2 + E of the table is the value for these inputs. Operators, loosest first:
`? :`, `=`, `=>`, `|`, `^`, `&`, `~`; a hexadecimal or decimal number is the table itself.
"""

from collections.abc import Callable

from .numbers import Refused, parse_integer, wrap_unsigned

_INPUTS = {"A": 0xFFFF0000, "B": 0xFF00FF00, "C": 0xF0F0F0F0, "D": 0xCCCCCCCC, "E": 0xAAAAAAAA}
_ALL = 0xFFFFFFFF

#: Binary operators, loosest first. `=>` must be looked for before `=`.
_BINARY: tuple[tuple[str, Callable[[int, int], int]], ...] = (
    ("=", lambda left, right: ~(left ^ right)),
    ("=>", lambda left, right: ~left | right),
    ("|", lambda left, right: left | right),
    ("^", lambda left, right: left ^ right),
    ("&", lambda left, right: left & right),
)


def table(function: str) -> int:
    """The table of a function.

    Raises:
        Refused: it is neither an expression nor a number
    """
    text = function.replace(" ", "")
    if text[:1].isdigit() and len(text) > 1:
        return wrap_unsigned(parse_integer(text))
    parser = _Parser(text)
    value = parser.choice()
    if parser.rest:
        raise Refused("Unexpected text after expression")
    return value & _ALL


#: Brackets and negations in each other; no real function needs a tenth of it.
_MAX_DEPTH = 32


class _Parser:
    """Recursive descent."""

    def __init__(self, text: str) -> None:
        self.rest = text
        self.depth = 0

    def accept(self, operator: str) -> bool:
        if not self.rest.startswith(operator):
            return False
        if operator == "=" and self.rest.startswith("=>"):
            return False
        self.rest = self.rest[len(operator) :]
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
        for name, mask in (*_INPUTS.items(), ("0", 0), ("1", _ALL)):
            if self.accept(name):
                return mask
        raise Refused("Invalid expression")

    def deeper(self, parse: Callable[[], int]) -> int:
        if self.depth == _MAX_DEPTH:
            raise Refused("Expression is too complicated")
        self.depth += 1
        value = parse()
        self.depth -= 1
        return value
