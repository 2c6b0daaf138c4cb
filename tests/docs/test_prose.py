"""docs/prose.py finds what it should in prose, and nothing in code; the documentation has no findings."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from .pages import ROOT

pytest.importorskip("proselint")
PROSE: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "prose.py"))


def found(path: Path, text: str) -> list[int]:
    path.write_text(text, encoding="utf-8")
    return sorted(line for line, _ in PROSE["findings"](PROSE["prose"](path)))


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("page.md", "# Title\n\nThe reason is told\nby whomever.\n", [3, 4]),
        (
            "page.md",
            "See `is told` and [it](whoever.md).\n\n```sh\necho whoever\n```\n\n    somebody x\n\nNobody.\n",
            [9],
        ),
        ("page.md", "The IOC works.\nA client is told | is told so.\n", [2, 2]),
        ("page.md", "There is no PandA. It is no longer here.\nThis is no PandA.\n", [2]),
        ("page.md", "It works the the same.\n", [1]),
        ("page.md", "- What is\n  wrong is\n  shown.\n\nIt is\n\nTold you.\n", [1, 7]),
        (
            "module.py",
            '"""What is\ntold."""\n\nwhoever = "whoever"\n# by whomever\nraise ValueError(f"{whoever} is told so")\n',
            [2, 5, 6],
        ),
        ("script.sh", "#!/bin/sh\n# whoever\necho whoever # nobody\n", [2, 3]),
    ],
)
def test_findings_have_their_lines(tmp_path: Path, name: str, text: str, lines: list[int]) -> None:
    assert found(tmp_path / name, text) == lines


def test_the_documentation_has_no_findings(capsys: pytest.CaptureFixture[str]) -> None:
    number = PROSE["main"]([ROOT / name for name in PROSE["CONFIG"]["paths"]])
    assert number == 0, capsys.readouterr().out


def test_paths_exist() -> None:
    assert all((ROOT / name).exists() for name in PROSE["CONFIG"]["paths"])
