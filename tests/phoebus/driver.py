"""A CS-Studio Phoebus under Xvfb, driven from within: a script in a display of the tests runs pieces of Jython."""

import asyncio
import json
import os
import shutil
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

#: A directory with Phoebus' jars, or with a folder `lib` of them.
HOME = Path(os.environ.get("PHOEBUS_HOME") or "/no/phoebus")

#: Other programs that the tests need.
PROGRAMS = ("java", "Xvfb")

_INSIDE = Path(__file__).with_name("inside.jy")

_DRIVER = """<?xml version="1.0" encoding="UTF-8"?>
<display version="2.0.0"><name>Driver</name><macros><PORT>{port}</PORT></macros>
<scripts><script file="EmbeddedPy"><text>{text}</text><pv_name>loc://driver(1)</pv_name></script></scripts></display>
"""

#: Settings: no splash screen, no saved state; variables set the PV Access addresses.
_SETTINGS = """org.phoebus.ui/splash=false
org.phoebus.ui/home_display=
org.phoebus.pv.ca/addr_list=127.0.0.1:{ca_port}
org.phoebus.pv.ca/auto_addr_list=false
org.phoebus.pv.ca/server_port={ca_port}
"""


def missing() -> str:
    """Return the reason why Phoebus cannot run here, or ""."""
    if not _jars():
        return "PHOEBUS_HOME names no directory with Phoebus' jars"
    return ", ".join(f"{name} is not installed" for name in PROGRAMS if shutil.which(name) is None)


def _jars() -> list[str]:
    return [str(folder / "*") for folder in (HOME, HOME / "lib") if any(folder.glob("*.jar"))]


class Phoebus:
    """A running Phoebus.

    Attributes:
        display: the X display
        log: the log file of Phoebus
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, display: str, log: Path) -> None:
        self._reader = reader
        self._writer = writer
        self.display = display
        self.log = log

    async def run(self, code: str, timeout: float = 60) -> Any:
        """Run a piece of Jython in Phoebus; return its variable `result`.

        Raises:
            RuntimeError: it failed
        """
        sent = code.encode()
        self._writer.write(struct.pack(">i", len(sent)) + sent)
        async with asyncio.timeout(timeout):
            (length,) = struct.unpack(">i", await self._reader.readexactly(4))
            answer = json.loads(await self._reader.readexactly(length))
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    async def becomes(self, code: str, wanted: object = True, timeout: float = 30) -> None:
        """Wait until an expression has a value."""
        now = None
        try:
            async with asyncio.timeout(timeout):
                while True:
                    now = await self.run(f"result = {code}")
                    if now == wanted:
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{code} is {now!r}, and did not become {wanted!r}") from None

    async def open(self, file: Path, title: str, macros: Mapping[str, str]) -> None:
        """Open a screen in a tab, unless it is open, and wait until all its PVs are connected."""
        given = {name: value for name, value in macros.items() if name != "DID"}
        if not await self.run(f"result = find({title!r}) is not None"):
            await self.run(f"ScriptUtil.openDisplay(widget, {str(file)!r}, 'TAB', {given!r})")
        await self.becomes(f"find({title!r}) is not None")
        await self.becomes(f"waiting({title!r})", [], 60)

    async def settled(self, title: str) -> None:
        """Wait until the values of the PVs of a screen are drawn."""
        await self.becomes(f"settled({title!r})")
        await asyncio.sleep(2)  # widgets are drawn in turn, a few at a time

    async def picture(self, title: str, path: Path) -> None:
        """Write a picture of a screen as a PNG."""
        await self.run(f"picture({title!r}, {str(path)!r})")


@asynccontextmanager
async def running(directory: Path, environment: Mapping[str, str]) -> AsyncIterator[Phoebus]:
    """Run a Phoebus that finds an IOC by environment variables; its files go to a directory."""
    async with _xvfb() as display:
        connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Future()
        server = await asyncio.start_server(lambda *streams: connected.set_result(streams), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        driver, settings, log = directory / "driver.bob", directory / "settings.ini", directory / "phoebus.log"
        driver.write_text(_DRIVER.format(port=port, text=escape(_INSIDE.read_text())))
        settings.write_text(_SETTINGS.format(ca_port=environment["EPICS_CA_SERVER_PORT"]))
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *("java", "-cp", ":".join(_jars()), f"-Duser.home={directory}", f"-Dphoebus.user={directory}"),
                *(f"-Djava.util.prefs.userRoot={directory}", "-Dprism.order=sw", "-DCA_DISABLE_REPEATER=true"),
                *("org.phoebus.product.Launcher", "-settings", settings),
                *("-resource", f"{driver.as_uri()}?app=display_runtime"),
                env={**os.environ, **environment, "DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )
            try:
                try:
                    streams = await asyncio.wait_for(connected, 120)
                except TimeoutError:
                    raise AssertionError(f"Phoebus did not start: {log.read_text()}") from None
                yield Phoebus(*streams, display, log)
            finally:
                if connected.done():
                    connected.result()[1].close()
                server.close()
                if process.returncode is None:
                    process.kill()
                await process.wait()


@asynccontextmanager
async def _xvfb() -> AsyncIterator[str]:
    """Run an X server without a screen; yield its display."""
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *("Xvfb", "-displayfd", str(writing), "-screen", "0", "1920x1200x24", "-nolisten", "tcp"),
        pass_fds=[writing],
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            number = await asyncio.wait_for(asyncio.to_thread(pipe.readline), 20)
        yield f":{number.strip()}"
    finally:
        process.terminate()
        await process.wait()
