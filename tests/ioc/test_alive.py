"""The alive file, if its folder disappears."""

import logging
from pathlib import Path

import pytest

from panda_ioc.ioc.process.alive import VARIABLE, alive_file

from ..conftest import until


async def test_it_beats_again_when_its_folder_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, away = tmp_path / "folder", tmp_path / "away"
    folder.mkdir()
    alive = folder / "alive"
    monkeypatch.setenv(VARIABLE, str(alive))
    with caplog.at_level(logging.ERROR), alive_file() as tell:
        await until(alive.exists)
        folder.rename(away)
        await until(lambda: bool(caplog.records))
        away.rename(folder)
        touched = alive.stat().st_mtime_ns
        await until(lambda: alive.stat().st_mtime_ns > touched)

        alive.unlink()
        folder.rmdir()
        tell("127.0.0.1 8080")  # which retries immediately
        folder.mkdir()
        await until(alive.exists)
        assert alive.read_text().endswith("\n127.0.0.1 8080\n")
    assert caplog.messages == [f"cannot write the alive file {alive}: No such file or directory"]
    assert not alive.exists()
