"""The functions of LUT blocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.simulator.lut import table
from panda_ioc.simulator.numbers import Refused


@pytest.mark.parametrize(
    ("expression", "python"),
    [
        ("A&~B", "a and not b"),
        ("~A&(C?D:E)", "not a and (d if c else e)"),
        ("A|B&C", "a or (b and c)"),
        ("A^B|C", "(a != b) or c"),
        ("A=B", "a == b"),
        ("A=>B", "not a or b"),
        ("A => B = C", "(not a or b) == c"),
        ("A?B:C?D:E", "b if a else (d if c else e)"),
        ("~~A", "a"),
        ("A|1", "True"),
        ("A&0", "False"),
    ],
)
def test_expressions(expression: str, python: str) -> None:
    expected = 0
    for index in range(32):
        inputs = {name: bool(index >> place & 1) for place, name in enumerate("edcba")}
        expected |= bool(eval(python, inputs)) << index  # noqa: S307 - of the table above
    assert table(expression) == expected


def test_documented_values() -> None:
    assert table("A&~B") == 0x00FF0000
    assert table("~A&(C?D:E)") == 0x0000CACA
    assert table("0xdeadbeef") == 0xDEADBEEF


@pytest.mark.parametrize(
    "text", ["", "A&", "A&&B", "F", "a", "(A", "A)", "A?B", "0x", "12x", "~" * 900, "(" * 400, "A B"]
)
def test_what_is_no_function(text: str) -> None:
    with pytest.raises(Refused):
        table(text)


@given(st.text("ABCDE01?:=>|^&~() ", max_size=60))
def test_any_text_is_a_function_or_refused(text: str) -> None:
    try:
        value = table(text)
    except Refused:
        return
    assert 0 <= value < 2**32
