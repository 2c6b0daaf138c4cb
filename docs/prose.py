"""Check prose against the rules in prose.toml: python docs/prose.py [PATH...].

Markdown is searched without code and link targets; Python in docstrings, comments and messages; other files in
comments. The exit code is 1 if there is a finding.
"""

import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from proselint.checks import __register__
from proselint.registry import CheckRegistry
from proselint.tools import LintFile

DOCS = Path(__file__).parent
ROOT = DOCS.parent
CONFIG: dict[str, Any] = tomllib.loads((DOCS / "prose.toml").read_text(encoding="utf-8"))

#: A space of a rule, which may be the end of a line in text or in comments.
_SPACE = r"(?: +| *\n[ #]*(?! *\n))"
RULES = [(re.compile(rule.replace(" ", _SPACE), re.IGNORECASE), advice) for rule, advice in CONFIG["rules"].items()]

_SKIPPED = {"_build", "__pycache__", "vendor"}
_COMMENTED = {".sh", ".yml", ".yaml", ".toml", ""}
_CODE = re.compile(r"^( *)```.*?^\1```$|(?<=\n\n)(?: {4}[^\n]*\n|\n(?= {4}))+|<!--.*?-->", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(`+)[^`]+\1|\]\([^)]*\)|https?://\S+|<[a-z/][^>]*>", re.DOTALL)
_STRING = re.compile(r"^[a-zA-Z]*(\"\"\"|'''|\"|')(.*)\1$", re.DOTALL)


def _blank(text: str) -> str:
    """Replace all characters but line ends, so that positions stay."""
    return re.sub(r"[^\n]", " ", text)


def _without_inline_code(text: str) -> str:
    return _INLINE.sub(lambda match: re.sub(r"[^\n]", "_", match[0]), text)


def _markdown(text: str) -> str:
    return _without_inline_code(_CODE.sub(lambda match: _blank(match[0]), text))


def _python(text: str) -> str:
    lines = [[" "] * len(line) for line in text.splitlines()]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        shown = token.string
        if token.type == tokenize.STRING:
            match = _STRING.match(shown)
            shown = re.sub(r"\{[^{}]*\}", lambda found: "_" * len(found[0]), shown) if "f" in shown[:2] else shown
            if match is None or len(match[2].split()) < 3:
                continue
        elif token.type != tokenize.COMMENT:
            continue
        row, column = token.start
        for offset, part in enumerate(shown.splitlines()):
            start = column if not offset else 0
            lines[row - 1 + offset][start : start + len(part)] = part
    return _without_inline_code("\n".join("".join(line) for line in lines))


def _comments(text: str) -> str:
    return "\n".join(
        _without_inline_code(match[0]).rjust(match.end()) if (match := re.search(r"(?<!\S)#(?!!).*", line)) else ""
        for line in text.splitlines()
    )


def prose(path: Path) -> str:
    """Return the text of a file with everything but prose blanked; lines and columns stay."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return _markdown(text)
    return _python(text) if path.suffix == ".py" or text.startswith("#!/usr/bin/env python") else _comments(text)


def files(paths: list[Path]) -> Iterator[Path]:
    """Yield the files with prose in files and folders."""
    for path in paths:
        found = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
        for item in found:
            skipped = _SKIPPED & set(item.parts) or str(item.relative_to(ROOT)) in CONFIG["skip"]
            if item.suffix in {".md", ".py"} | _COMMENTED and not skipped:
                yield item


@cache
def _register() -> None:
    CheckRegistry().register_many(__register__)


def findings(text: str) -> Iterator[tuple[int, str]]:
    """Yield line numbers and messages for prose."""
    if not text:
        return  # proselint would read a file
    for pattern, advice in RULES:
        for match in pattern.finditer(text):
            words = " ".join(match[0].split())
            yield text.count("\n", 0, match.start()) + 1, f"'{words}': write {advice}"
    _register()
    checks = dict.fromkeys(CONFIG["proselint"], True)
    file = LintFile("text", text)
    for result in file.lint({"max_errors": 1000, "checks": checks}):
        start, end = result.check_result.span
        found = file.content[start:end]
        if "\n\n" not in found and not re.fullmatch(r"[\d\s_]+", found):  # headings and numbers may repeat
            yield file.content.count("\n", 0, start), " ".join(result.check_result.message.split())


def main(paths: list[Path]) -> int:
    """Print the findings and return their number."""
    number = 0
    for path in files(paths):
        for line, message in sorted(findings(prose(path))):
            number += 1
            sys.stdout.write(f"{path.relative_to(ROOT)}:{line}: {message}\n")
    return number


if __name__ == "__main__":
    chosen = [Path(word).resolve() for word in sys.argv[1:]] or [ROOT / name for name in CONFIG["paths"]]
    sys.exit(main(chosen) > 0)
