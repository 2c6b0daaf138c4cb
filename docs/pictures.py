"""Make the pictures of how-to/try.md and tutorials/examples.md from their examples: python docs/pictures.py.

The script writes the scenarios of a page to a folder, runs its commands there, and copies the resulting pictures to
docs/pictures. `--into FOLDER` writes them to another folder instead.
"""

import argparse
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner

from panda_ioc.cli import main

DOCS = Path(__file__).parent
ROOT = DOCS.parent

_YAML = re.compile(r"^( *)```yaml\n( *# ([\w-]+\.yaml)\n.*?)^\1```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^ *panda-ioc ((?:try|wiring) .*)$", re.MULTILINE)
#: The pages whose pictures are made.
_EXAMPLES = "tutorials/examples.md"
_TRY = "how-to/try.md"

_PICTURE = re.compile(r"\]\(\.\./pictures/([\w-]+\.png)\)")

#: A recorded motion for the example with files.
_MOTION = "t,x\n0,0\n8,1.5\n14,1.2\n22,-1\n30,0.5\n"


def write_scenarios(page: str, folder: Path) -> None:
    """Write the scenarios of a page to files, with the names in their first lines."""
    for indent, text, name in _YAML.findall((DOCS / page).read_text(encoding="utf-8")):
        (folder / name).write_text(re.sub(rf"^{indent}", "", text, flags=re.MULTILINE), encoding="utf-8")
    (folder / "x.csv").write_text(_MOTION, encoding="utf-8")


def write_design(folder: Path) -> None:
    """Write scan.design with the settings of compare.yaml, in the format of `panda-ioc save`."""
    from panda_ioc.simulator import load_scenario  # noqa: PLC0415

    write_scenarios(_EXAMPLES, folder)
    lines = load_scenario(folder / "compare.yaml").settings
    (folder / "scan.design").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def commands(page: str) -> Iterator[list[str]]:
    """Yield the `try` and `wiring` commands of a page as lists of arguments."""
    for text in _COMMAND.findall((DOCS / page).read_text(encoding="utf-8")):
        yield shlex.split(text)


def make(folder: Path, into: Path) -> None:
    """Make all pictures in a working folder and copy them to another."""
    write_design(folder)
    write_scenarios(_TRY, folder)
    for page in (_EXAMPLES, _TRY):
        for words in commands(page):
            _run(words, folder)
    _run(["wiring", str(ROOT / "tests" / "trial" / "beamline.yaml"), "-o", "beamline.png"], folder)
    for page in (_EXAMPLES, _TRY):
        for name in _PICTURE.findall((DOCS / page).read_text(encoding="utf-8")):
            shutil.copy(folder / name, into / name)


def _run(words: list[str], folder: Path) -> None:
    located = [
        str(folder / word) if re.fullmatch(r"[\w-]+\.(yaml|design|png|svg|h5|vcd|json)", word) else word
        for word in words
    ]
    result = CliRunner().invoke(main, located)
    if result.exit_code:
        raise SystemExit(f"{shlex.join(words)}: {result.output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=DOCS / "pictures")
    with tempfile.TemporaryDirectory() as temporary:
        make(Path(temporary), parser.parse_args().into)
