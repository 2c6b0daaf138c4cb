"""YAML files: duplicates, merged keys, invalid values."""

from pathlib import Path

import pytest

from panda_ioc import yamlfile
from panda_ioc.validation import Checked


class Inner(Checked):
    a: int = 0
    b: int = 0


class Outer(Checked):
    base: Inner = Inner()
    one: Inner = Inner()
    two: Inner = Inner()
    many: tuple[Inner, ...] = ()


def load(directory: Path, text: str) -> Outer:
    path = directory / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return yamlfile.load(path, Outer)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one: {a: 1}\ntwo: {}\n\none: {b: 1}\n", "4: duplicate key one, first in line 1"),
        ("one:\n  a: 1\n  b: 2\n  a: 1\n", "4: duplicate key a, first in line 2"),
        ("many:\n- {a: 1}\n- a: 2\n  b: 3\n  b: 3\n", "5: duplicate key b, first in line 4"),
        ("one: &x\n  a: 1\n  a: 2\ntwo: *x\n", "3: duplicate key a, first in line 2"),
        ("other: {yes: 1, on: 2}\n", "1: duplicate key on, first in line 1"),  # both are true
        ("one: 2001-99-99\n", "1: '2001-99-99' is not a valid timestamp: month must be in 1..12"),
        ("one:\n  a: 0x_\n", "2: '0x_' is not a valid int: invalid literal"),
        ("one: {0b_: 1}\n", "1: '0b_' is not a valid int: invalid literal"),
        ("one:\n  a: !!bool x\n", "2: 'x' is not a valid bool: "),
        ("base: &x {a: 1}\none:\n  <<: *x\n  a: text\n", "4: one.a: must be a whole number, not text 'text'"),
    ],
)
def test_one_line_that_names_the_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(yamlfile.YamlFileError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'x.yaml'}:{said}")
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_merged_may_be_said_anew(tmp_path: Path) -> None:
    read = load(tmp_path, "one: &x {a: 1, b: 2}\ntwo:\n  <<: *x\n  b: 3\nmany: [*x, {<<: [*x]}]\n")
    assert (read.one, read.two) == (Inner(a=1, b=2), Inner(a=1, b=3))
    assert read.many == (read.one, read.one)


def test_what_holds_itself(tmp_path: Path) -> None:
    with pytest.raises(yamlfile.YamlFileError, match="x.yaml"):
        load(tmp_path, "one: &x {a: *x}\n")


def test_a_file_without_end() -> None:
    with pytest.raises(yamlfile.YamlFileError, match="^/dev/zero: File too large$"):
        yamlfile.load(Path("/dev/zero"), Outer)
