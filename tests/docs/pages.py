"""Pages of the documentation and their examples."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: All pages for users and contributors.
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "index.md", *(ROOT / "docs").glob("*/*.md")]
)

#: A fenced block: indentation, language, text.
FENCED = re.compile(r"^( *)```([\w{}-]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+")
_COMMAND = re.compile(r"(\./dev|panda-ioc|pandablocks-ioc|caget|caput|camonitor|pip|docker|python|\.venv/bin/\w\S*) ")


@dataclass(frozen=True)
class Example:
    """An example in a page.

    Attributes:
        page: file name of the page
        language: "python", "yaml", "sh", or "" for a block without a language
        text: text without the common indentation
    """

    page: str
    language: str
    text: str


def page(name: str) -> Path:
    """Return the path of a page, by file name."""
    return next(path for path in PAGES if path.name == name)


def dedented(match: re.Match[str]) -> str:
    """Return the text of a fenced block without the common indentation."""
    return re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE)


def examples(name: str, language: str | None = None) -> list[Example]:
    """Return the fenced examples of a page, of all languages or of one."""
    found = (
        Example(name, match[2], dedented(match)) for match in FENCED.finditer(page(name).read_text(encoding="utf-8"))
    )
    return [example for example in found if language in {None, example.language}]


def commands(name: str) -> Iterator[str]:
    """Yield the commands of a page in order, without comments."""
    text = page(name).read_text(encoding="utf-8")
    found = [(match.start(), match[3]) for match in FENCED.finditer(text) if match[2] in {"", "sh"}]
    without = FENCED.sub(lambda match: "~" * len(match[0]), text)
    found += [(match.start(), match[0]) for match in _INDENTED.finditer(without)]
    for _, block in sorted(found):
        for line in block.splitlines():
            if _COMMAND.match(f"{line.strip()} "):
                yield re.sub(r"\s{2,}# .*", "", line.strip())
