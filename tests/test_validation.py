"""Validation: every problem is named with its key, in one line; values of the wrong type are refused."""

import copy
import pickle
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from panda_ioc.simulator.spec import BlockSpec, DeviceSpec, FieldSpec, Finite, Line, Name
from panda_ioc.simulator.steps import Arm, Follow, Move, Step
from panda_ioc.validation import Checked, InvalidError, Problem, rule, schema, validated


class Item(Checked):
    number: Annotated[int, msgspec.Meta(ge=1, le=5)]
    name: Annotated[str, rule(lambda text: f"{text} is not short", max_length=3)] = ""

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise InvalidError(Problem(("name",), "bad is taken"))
        if self.number == 4:
            raise ValueError("4 is unlucky")


class Whole(Checked, kw_only=True):
    """A model of all kinds."""

    on: bool = False
    ratio: float = 1.0
    choice: Literal["a", "b"] = "a"
    path: Path | None = None
    item: Item = Item(number=1)
    items: tuple[Item, ...] = ()
    named: dict[Annotated[str, rule("invalid name", pattern=r"^[a-z]+\Z")], Item | None] = msgspec.field(
        default_factory=dict
    )
    text: str


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ([], ["must be a mapping, not a list"]),
        ({}, ["text: this key is required"]),
        ({"text": None}, ["text: must be text, not nothing"]),
        ({"text": 5}, ["text: must be text, not a whole number"]),
        ({"text": "", "on": 1}, ["on: must be true or false, not a whole number"]),
        ({"text": "", "on": "true"}, ["on: must be true or false, not text 'true'"]),
        ({"text": "", "ratio": "1e5"}, ["ratio: must be a number, not text '1e5'"]),
        ({"text": "", "ratio": True}, ["ratio: must be a number, not true"]),
        ({"text": "", "ratio": "x" * 1000}, ["ratio: must be a number, not text '" + "x" * 79]),
        ({"text": "", "choice": "c"}, ["choice: must be a or b, not 'c'"]),
        ({"text": "", "path": ""}, ["path: a path must not be empty"]),
        ({"text": "", "path": "a\0b"}, [r"path: a path must not have a null character: 'a\x00b'"]),
        ({"text": "", "path": 5}, ["path: must be text"]),
        ({"text": "", "item": {"number": 6}}, ["item.number: must be a whole number <= 5, not 6"]),
        ({"text": "", "item": {"number": 10**400}}, ["item.number: must be a whole number <= 5"]),
        ({"text": "", "item": {"number": 2.0}}, ["item.number: must be a whole number, not 2.0"]),
        ({"text": "", "item": {"number": 1, "name": "long"}}, ["item.name: long is not short"]),
        ({"text": "", "item": {"number": 1, "name": "bad"}}, ["item.name: bad is taken"]),
        ({"text": "", "items": [{"number": 1}, {"number": 4}]}, ["items.1: 4 is unlucky"]),
        ({"text": "", "items": {"number": 1}}, ["items: must be a list, not a mapping"]),
        ({"text": "", "named": {"a": None, "B": None}}, ["named.B: invalid name"]),
        ({"text": "", "named": {"a\n": None}}, ["named.a\\n: invalid name"]),
        ({"text": "", "named": {"a": {}}}, ["named.a.number: this key is required"]),
        ({"text": "", 1: 2}, ["1: unknown key: use on, ratio, choice, path, item, items, named, text"]),
        (
            {"on": 1, "item": {"nmbr": 1}, "items": [{"number": 0}, {"number": "2"}], "named": {"a": {"number": 9}}},
            [
                "text: this key is required",
                "on: must be true or false, not a whole number",
                "item.number: this key is required",
                "item.nmbr: unknown key: use number, name",
                "items.0.number: must be a whole number >= 1, not 0",
                "items.1.number: must be a whole number, not text '2'",
                "named.a.number: must be a whole number <= 5, not 9",
            ],
        ),
    ],
)
def test_every_problem_is_named(content: Any, problems: list[str]) -> None:
    with pytest.raises(InvalidError) as caught:
        validated(content, Whole)
    assert str(caught.value).splitlines() == problems
    assert len(caught.value.problems) == len(problems)


def test_valid_content_is_converted() -> None:
    content = {"text": "x", "ratio": 2, "path": "/a", "items": [{"number": 2}], "named": {"a": None}}
    assert validated(content, Whole) == Whole(
        text="x", ratio=2.0, path=Path("/a"), items=(Item(number=2),), named={"a": None}
    )


def test_numbers_in_text_if_they_are_allowed() -> None:
    """YAML reads 1e5 as text."""
    whole = validated({"text": "null", "ratio": "1e5", "on": 1}, Whole, strict=False)
    assert (whole.text, whole.ratio, whole.on) == ("null", 1e5, True)
    with pytest.raises(InvalidError, match="^on: must be true or false, .*\nratio: must be a number, not text 'fast'$"):
        validated({"text": "", "ratio": "fast", "on": 2}, Whole, strict=False)


def test_construction_validates() -> None:
    plain: dict[str, Any] = {"number": "1"}
    with pytest.raises(InvalidError, match="^number: must be a whole number, not text '1'$"):
        Item(**plain)
    with pytest.raises(InvalidError, match="^number: this key is required$"):
        Item()  # type: ignore[call-arg]
    with pytest.raises(InvalidError, match="^speed: this key is required\nmotor: must be capitals"):
        Move(motor="inenc", to=1)  # type: ignore[call-arg]
    with pytest.raises(InvalidError, match="^a step needs exactly one action, not 2"):
        Step(arm=Arm(), move=Move(motor="INENC1", to=1, speed=1))
    assert Follow(motor="INENC1", file=Path("x")) == validated({"motor": "INENC1", "file": "x"}, Follow)


def test_models_are_immutable_and_can_be_copied() -> None:
    field = FieldSpec(type="pos_out")
    device = DeviceSpec(name="x", blocks={"A": BlockSpec(count=1, fields={"OUT": field})})
    with pytest.raises(AttributeError, match="immutable"):
        device.name = "y"
    for same in (copy.deepcopy(device), pickle.loads(pickle.dumps(device)), msgspec.structs.replace(device)):  # noqa: S301
        assert same == device


@pytest.mark.parametrize("kind", [Name, Line])
def test_a_line_break_at_the_end_is_refused(kind: Any) -> None:
    assert validated("A", kind) == "A"
    with pytest.raises(InvalidError):
        validated("A\n", kind)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), 10**400])
def test_only_finite_numbers(number: float) -> None:
    finite: Any = Finite
    with pytest.raises(InvalidError, match="^must be a finite number$"):
        validated(number, finite)


def test_a_schema_has_the_model_at_its_root() -> None:
    described = schema(Whole)
    assert described["required"] == ["text"]
    assert described["additionalProperties"] is False
    assert described["properties"]["item"]["$ref"] == "#/$defs/Item"
    assert described["$defs"]["Item"]["properties"]["number"] == {"type": "integer", "minimum": 1, "maximum": 5}
