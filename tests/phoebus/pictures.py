"""Make the pictures of docs/how-to/screens.md in Phoebus, with the demo.

    PHOEBUS_HOME=DIR python -m tests.phoebus.pictures

`--into FOLDER` writes them to another folder than docs/pictures. Phoebus needs what its tests need.
"""

import argparse
import asyncio
import itertools
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

from PIL import Image

from panda_ioc.simulator import Server, load, load_scenario
from panda_ioc.simulator.scenario import DEMO

from ..conftest import free_port
from ..ioc.bobfiles import expanded
from ..ioc.process import Ioc, running_ioc
from .driver import Phoebus, missing, running

PREFIX = "PANDA"
DOCS = Path(__file__).parents[2] / "docs" / "pictures"

#: Rows of the table screens, and the cell that Submit refuses: letters in place of zeros.
_ROWS = (
    (3, "Immediate", 0, 1000, "100100", 500, "010100"),
    (10, "BITA=1", 0, 200, "011000", 300, "001000"),
    (1, "POSA>=POSITION", 2500, 1500, "110010", 800, "000010"),
    (0, "Immediate", 0, 400, "000001", 0, "000001"),
)
_BAD = (1, 3, "2OO")

#: Phoebus draws new values a few at a time: after this time in s, all are drawn also if other programs use the machine.
_DRAWN = 10.0

#: Writes a picture of the main window below its menu and tool bar, with the dialogs above it.
_WINDOW = """
from javafx.scene.robot import Robot
stage = DockStage.getDockStages()[0]
area = Rectangle2D(stage.getX(), stage.getY() + 66, 1370, 790)
image = on_ui(lambda: SwingFXUtils.fromFXImage(Robot().getScreenCapture(None, area), None))
ImageIO.write(image, "png", File({path!r}))
"""


class Photographer:
    """Takes pictures of the screens of a directory in a Phoebus.

    Args:
        screens: directory of the screens
        into: directory of the pictures
        phoebus: the Phoebus
    """

    def __init__(self, screens: Path, into: Path, phoebus: Phoebus) -> None:
        self._screens, self._into, self.phoebus = screens, into, phoebus

    async def open(self, file: str, **macros: str) -> str:
        """Open a screen; return its title."""
        path = self._screens / file
        root = ET.parse(path).getroot()  # noqa: S314 - a file of ours
        own = {each.tag: each.text or "" for each in root.find("macros") or ()}
        title = expanded(root.findtext("name") or "", {**own, **macros})
        await self.phoebus.open(path, title, macros)
        return title

    async def take(self, name: str, title: str) -> None:
        """Write a picture of an open screen."""
        await self.phoebus.settled(title)
        await asyncio.sleep(_DRAWN)
        await self.phoebus.picture(title, self._into / f"{name}.png")
        self.shrink(name)

    async def take_window(self, name: str) -> None:
        """Write a picture of all windows."""
        await self.phoebus.run(_WINDOW.format(path=str(self._into / f"{name}.png")))
        self.shrink(name)

    def shrink(self, name: str) -> None:
        """Reduce a picture to 256 colours."""
        path = self._into / f"{name}.png"
        with Image.open(path) as image:
            image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


async def _blocks(camera: Photographer, ioc: Ioc) -> None:
    await ioc.pva_put("INENC1:VAL:CAPTURE", "Value Mean")
    for name, file, macros in (
        ("inenc", "INENC.bob", {"R": "INENC1"}),
        ("position-bus", "Position_Bus.bob", {}),
        ("wiring", "Wiring.bob", {}),
        ("plot", "Plot.bob", {"COLUMN": "INENC2:VAL"}),
    ):
        await camera.take(name, await camera.open(file, P=PREFIX, **macros))


async def _data(camera: Photographer, ioc: Ioc, files: Path) -> None:
    """Take pictures of the overview during a capture, and of the data screen, with columns selected, after it."""
    for name, value in {"HDF_DIRECTORY": str(files), "HDF_FILE_NAME": "scan.h5", "FLUSH_PERIOD": 0.5}.items():
        await ioc.pva_put(f"DATA:{name}", value)
    await ioc.pva_put("DATA:CAPTURE_MODE", "FOREVER")
    await ioc.pva_put("DATA:NUM_CAPTURE", 1000)
    overview = await camera.open("Overview.bob")
    await ioc.pva_put("DATA:CAPTURE", 1)
    await camera.take("overview", overview)
    await ioc.pva_put("DATA:CAPTURE", 0)
    data = await camera.open("Data.bob", P=PREFIX)
    combo = "[one for one in widgets(find({!r})[1]) if 'LIVE:{}<' in one.getPropertyValue('name')][0]"
    for letter, column in (("x", "INENC1:VAL"), ("y", "COUNTER1:OUT"), ("z", "INENC2:VAL")):
        await camera.phoebus.run(f"choose({combo.format(data, letter)}, {column!r})")
    await ioc.pva_put("DATA:CAPTURE_MODE", "FIRST_N")
    await ioc.pva_put("DATA:NUM_CAPTURE", 180)
    await ioc.pva_put("DATA:OVERWRITE", 1)
    await ioc.pva_put("DATA:CAPTURE", 1)
    status = await ioc.monitor("DATA:STATUS")
    async with asyncio.timeout(60):
        while not (await status.get()).value.startswith("OK: "):
            pass
    await camera.take("data", data)


async def _tables(camera: Photographer) -> None:
    cells = [[str(cell) for cell in (*row[:4], *row[4], row[5], *row[6])] for row in _ROWS]
    title = await camera.open("SEQ_TABLE.bob", P=PREFIX, R="SEQ2")
    shown = f"isinstance(named({title!r}, 'Table').getPropertyValue('value'), VTable)"
    await camera.phoebus.becomes(shown)
    await camera.phoebus.run(f"named({title!r}, 'Table').setValue({cells!r}); press({title!r}, 'Submit')")
    await camera.phoebus.becomes(shown)
    await camera.take("seq-table", title)
    row, column, text = _BAD
    cells[row][column] = text
    await camera.phoebus.run(f"named({title!r}, 'Table').setValue({cells!r}); press({title!r}, 'Submit')")
    await camera.phoebus.becomes("len(dialogs())", 1)
    await camera.phoebus.settled(title)
    await camera.take_window("seq-table-error")
    await camera.phoebus.run("close_dialogs()")


async def make(into: Path) -> None:
    """Make all pictures."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(prefix="data-") as files:
        screens, own = Path(folder) / "screens", Path(folder) / "phoebus"
        for directory in (screens, own):
            directory.mkdir()
        async with Server(load(), control_port=0, data_port=0, scenario=load_scenario(DEMO)) as panda:
            options = ("--data-port", str(panda.data_port), "--screens-dir", str(screens), "--designs-dir", folder)
            ports = itertools.cycle([free_port()])
            async with running_ioc(panda.control_port, PREFIX, ports, *options) as ioc:
                await ioc.wait_for("screens, 0 removed")
                async with running(own, ioc.environment) as phoebus:
                    camera = Photographer(screens, into, phoebus)
                    await _blocks(camera, ioc)
                    await _data(camera, ioc, Path(files))
                    await _tables(camera)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=DOCS)
    arguments = parser.parse_args()
    if reason := missing():
        parser.error(reason)
    asyncio.run(make(arguments.into))


if __name__ == "__main__":
    main()
