"""The pages of the documentation, and the examples in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: What a person reads, from the README on.
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "index.md", *(ROOT / "docs").glob("*/*.md")]
)

_FENCED = re.compile(r"^( *)```([\w{}-]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+")
_COMMAND = re.compile(r"(\./dev|panda-ioc|pandablocks-ioc|caget|caput|camonitor|pip|docker|python|\.venv/bin/\w\S*) ")


@dataclass(frozen=True)
class Example:
    """Something that a page tells the reader to do.

    Attributes:
        page: its name
        language: "python", "yaml", "sh", or "" if none is said
        text: without the indentation that all of it has
    """

    page: str
    language: str
    text: str


def page(name: str) -> Path:
    """A page by its name."""
    return next(path for path in PAGES if path.name == name)


def examples(name: str, language: str | None = None) -> list[Example]:
    """The examples of a page that are fenced, of one language if one is said."""
    found = (
        Example(name, match[2], re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE))
        for match in _FENCED.finditer(page(name).read_text(encoding="utf-8"))
    )
    return [example for example in found if language in {None, example.language}]


def commands(name: str) -> Iterator[str]:
    """The commands of a page, line by line, in order, without comments."""
    text = page(name).read_text(encoding="utf-8")
    found = [(match.start(), match[3]) for match in _FENCED.finditer(text) if match[2] in {"", "sh"}]
    without = _FENCED.sub(lambda match: "~" * len(match[0]), text)
    found += [(match.start(), match[0]) for match in _INDENTED.finditer(without)]
    for _, block in sorted(found):
        for line in block.splitlines():
            if _COMMAND.match(f"{line.strip()} "):
                yield re.sub(r"\s{2,}# .*", "", line.strip())
