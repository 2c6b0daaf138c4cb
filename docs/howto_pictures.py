"""Make the pictures of the how-to pages from their examples: python docs/howto_pictures.py.

The scenarios of a page are written to a temporary folder, its commands `try` and `wiring` run there, and the pictures
that the page shows are copied to docs/pictures. Pictures that no command makes are drawn by a function here.
"""

import argparse
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from panda_ioc.cli import main

DOCS = Path(__file__).parent

_YAML = re.compile(r"^```yaml\n(# ([\w-]+\.yaml)\n.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^panda-ioc ((?:try|wiring) .*)$", re.MULTILINE)
_PICTURE = re.compile(r"\]\(\.\./pictures/([\w-]+\.(?:png|svg))\)")

#: Pictures that are drawn here, by name.
DRAWN: dict[str, Callable[[Path], None]] = {}


def make(page: Path, into: Path) -> list[str]:
    """Make the pictures that a page shows and its own commands make, or that are drawn here; return their names."""
    text = page.read_text(encoding="utf-8")
    made = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for scenario, name in _YAML.findall(text):
            (folder / name).write_text(scenario, encoding="utf-8")
        for command in _COMMAND.findall(text):
            if "--picture" in command or command.startswith("wiring"):
                _run([_located(word, folder) for word in shlex.split(command)])
        for name in _PICTURE.findall(text):
            if name in DRAWN:
                DRAWN[name](folder / name)
            if (folder / name).exists():
                shutil.copy(folder / name, into / name)
                made.append(name)
    return made


def _located(word: str, folder: Path) -> str:
    return str(folder / word) if re.fullmatch(r"[\w-]+\.(yaml|png|svg)", word) else word


def _run(words: list[str]) -> None:
    result = CliRunner().invoke(main, words)
    if result.exit_code:
        raise SystemExit(f"{shlex.join(words)}: {result.output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path, default=sorted((DOCS / "how-to").glob("*.md")))
    for page in parser.parse_args().pages:
        print(page.name, *make(page, DOCS / "pictures"))
