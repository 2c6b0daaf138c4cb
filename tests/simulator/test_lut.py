"""The functions of LUT blocks."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.simulator.lut import table
from panda_ioc.simulator.numbers import Refused

#: Binary operators, loosest first, and what they mean for one row of the table.
BINARY: dict[str, Callable[[bool, bool], bool]] = {
    "=>": lambda left, right: not left or right,
    "|": lambda left, right: left or right,
    "^": lambda left, right: left != right,
    "&": lambda left, right: left and right,
    "=": lambda left, right: left == right,
}


@dataclass(frozen=True)
class Function:
    """A function: its text, the precedence of its outermost operator, and its value for given inputs."""

    text: str
    tightness: int
    value: Callable[[dict[str, bool]], bool]

    def within(self, tightness: int) -> str:
        """Return the text, in brackets if the precedence of a neighbouring operator requires it."""
        return self.text if self.tightness >= tightness else f"({self.text})"


def chosen(chance: random.Random, depth: int) -> Function:
    """Return a random function, written with as few brackets as possible."""
    kind = chance.choice(["name", "not", "choice", *BINARY] if depth else ["name"])
    spaces = chance.choice(["", "", " "])
    tightest = len(BINARY) + 2
    if kind == "name":
        name = chance.choice("ABCDE01")
        return Function(name, tightest, lambda inputs: inputs[name])
    if kind == "not":
        of = chosen(chance, depth - 1)
        return Function(f"~{of.within(tightest - 1)}", tightest - 1, lambda inputs: not of.value(inputs))
    if kind == "choice":
        test, yes, no = (chosen(chance, depth - 1) for _ in range(3))
        text = f"{test.within(1)}{spaces}?{spaces}{yes.within(1)}{spaces}:{spaces}{no.within(0)}"
        return Function(text, 0, lambda inputs: yes.value(inputs) if test.value(inputs) else no.value(inputs))
    left, right = chosen(chance, depth - 1), chosen(chance, depth - 1)
    tightness = 1 + list(BINARY).index(kind)
    # Only `=>` is not associative: write a chain of it with brackets.
    beside = tightness + (kind == "=>")
    text = f"{left.within(beside)}{spaces}{kind}{spaces}{right.within(beside)}"
    return Function(text, tightness, lambda inputs: BINARY[kind](left.value(inputs), right.value(inputs)))


def rows(function: Function) -> int:
    """Return the truth table of a function, row by row."""
    return sum(
        function.value({"0": False, "1": True, **{name: bool(row >> place & 1) for place, name in enumerate("EDCBA")}})
        << row
        for row in range(32)
    )


def test_random_functions() -> None:
    chance = random.Random(18)
    for _ in range(3000):
        function = chosen(chance, chance.randrange(5))
        assert table(function.text) == rows(function), function.text


@pytest.mark.parametrize(
    ("function", "value"),
    [
        ("A&~B", 0x00FF0000),
        ("~A&(C?D:E)", 0x0000CACA),
        ("0xdeadbeef", 0xDEADBEEF),
        ("0x1", 1),
        ("D=~D & E", 0),
        ("1&E", 0xAAAAAAAA),
        ("0|C", 0xF0F0F0F0),
        ("1", 0xFFFFFFFF),
        ("0", 0),
        ("A?B:C?D:E", 0xFF00CACA),
        ("~~A", 0xFFFF0000),
    ],
)
def test_known_values(function: str, value: int) -> None:
    assert table(function) == value


@pytest.mark.parametrize(
    ("text", "error"),
    [
        *((text, "Invalid token") for text in ("12", "12x", "01", "F", "a", "A&$", "AB", "\u0661")),
        *((text, "Invalid expression") for text in ("", "A&", "A&&B", "A=&B")),
        *((text, "Unexpected text after expression") for text in ("A)", "A B", "A~B")),
        ("(A", "Character ')' expected"),
        ("A?B", "Character ':' expected"),
        ("~" * 900, "Expression is too complicated"),
        ("(" * 400, "Expression is too complicated"),
        ("0x10000000000000000", "Number out of range"),
        ("0xg", "Unexpected character after input"),
    ],
)
def test_invalid_functions(text: str, error: str) -> None:
    with pytest.raises(Refused) as caught:
        table(text)
    assert str(caught.value) == error


@given(st.text("ABCDE01?:=>|^&~() ", max_size=60))
def test_any_text_is_a_function_or_refused(text: str) -> None:
    try:
        value = table(text)
    except Refused:
        return
    assert 0 <= value < 2**32
