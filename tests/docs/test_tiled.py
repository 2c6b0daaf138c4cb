"""how-to/scan-software.md with a real Tiled server, in a separate environment; on request, as it downloads packages."""

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from ..command import said_by
from ..ioc.process import Ioc
from .howto import Ports, blocks, check_output
from .test_howto import DOCS, ioc, panda, ports, with_drive  # noqa: F401 - fixtures

PACKAGES = ["tiled[client,server]>=0.2", "bluesky-tiled-plugins>=2", "ophyd-async[pva]==0.21.3", "bluesky", "h5py"]


@pytest.fixture
def python(tmp_path: Path) -> Path:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, timeout=600)
    return python


@pytest.mark.slow
async def test_tiled_reads_what_a_scan_wrote(python: Path, ioc: Ioc, ports: Ports, tmp_path: Path) -> None:  # noqa: F811
    page = [block for block in blocks(DOCS / "how-to" / "scan-software.md") if block.language == "python"]
    (scan,) = (block.text for block in page if "def scan" in block.text)
    (tiled,) = (block for block in page if block.file == "with_tiled.py")
    text = re.sub(r"^RE\(scan\(\), .*$", "", scan, flags=re.MULTILINE) + tiled.text
    text = with_drive(text.replace("/tmp", str(tmp_path)), ports)  # noqa: S108 - what the page calls so
    said = await said_by(str(python), "-c", text, environment=ioc.environment, folder=tmp_path)
    assert sys.executable in text
    check_output("..." + tiled.expected, said)
