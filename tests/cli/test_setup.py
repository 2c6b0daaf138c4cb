"""`panda-ioc save` and `load`: the complete settings of a PandA in a file."""

import asyncio
from pathlib import Path

from panda_ioc.simulator import Server, load

from ..command import panda_ioc, running
from ..conftest import Hostile


def listed(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_save_and_load(panda: Server, port: str, tmp_path: Path) -> None:
    file = tmp_path / "setup.sav"
    pulses = panda.panda.fields["PULSE1.PULSES"]
    pulses.write("12")
    assert f"to {file}" in await panda_ioc("save", "127.0.0.1", file, "--control-port", port)
    pulses.write("13")
    await panda_ioc("load", "127.0.0.1", file, "--control-port", port)
    assert pulses.raw == 12
    file.write_text("PULSE1.PULSES=14\nNOPE.X=1\nSEQ1.TABLE<\n1 2 3\n\n", encoding="utf-8")
    refused = await panda_ioc("load", "127.0.0.1", file, "--control-port", port, code=1)
    assert "NOPE.X=1: No such block" in refused
    assert "SEQ1.TABLE<: Table write is not a whole number of rows" in refused
    assert "the previous settings are restored" in refused
    assert pulses.raw == 12


async def test_files_that_cannot_be_used(port: str, tmp_path: Path) -> None:
    options = ("--control-port", port)
    assert "No such file" in await panda_ioc("load", "127.0.0.1", tmp_path / "no", *options, code=1)
    assert "No such file" in await panda_ioc("save", "127.0.0.1", tmp_path / "no" / "file", *options, code=1)
    (tmp_path / "bad").write_text("what is this\n", encoding="utf-8")
    assert "'what is this' is neither" in await panda_ioc("load", "127.0.0.1", tmp_path / "bad", *options, code=1)
    (tmp_path / "latin").write_bytes(b"\xff")
    assert "not a text file in UTF-8" in await panda_ioc("load", "127.0.0.1", tmp_path / "latin", *options, code=1)


async def test_a_file_is_replaced_whole_or_not_at_all(panda: Server, port: str, tmp_path: Path) -> None:
    file = tmp_path / "setup.sav"
    file.write_text("PULSE1.PULSES=14\n", encoding="utf-8")
    async with Hostile(b"!SEQ1.TABLE<\n", after=b"\n", then="close") as server:
        await panda_ioc("save", "127.0.0.1", file, "--control-port", str(server.port), code=1)
    assert file.read_text(encoding="utf-8") == "PULSE1.PULSES=14\n"
    await panda_ioc("save", "127.0.0.1", file, "--control-port", port)
    assert "PULSE1.PULSES=0\n" in file.read_text(encoding="utf-8")
    assert listed(tmp_path) == ["setup.sav"]


async def test_a_disk_that_is_full_leaves_the_former_file(port: str, tmp_path: Path) -> None:
    file = tmp_path / "setup.sav"
    file.write_text("PULSE1.PULSES=14\n", encoding="utf-8")
    program = ("/bin/sh", "-c", 'ulimit -f 2; exec "$@"', "sh")
    pipe = asyncio.subprocess.PIPE
    options = ("save", "127.0.0.1", file, "--control-port", port)
    async with running(*options, through=program, stdout=pipe, stderr=asyncio.subprocess.STDOUT) as process:
        said, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert said.decode() == f"Error: {file}: File too large\n"
    assert file.read_text(encoding="utf-8") == "PULSE1.PULSES=14\n"
    assert listed(tmp_path) == ["setup.sav"]
    assert "No space left on device" in await panda_ioc("save", "127.0.0.1", "/dev/full", *options[3:], code=1)


async def test_saving_to_a_stream(port: str) -> None:
    said = await panda_ioc("save", "127.0.0.1", "/dev/stdout", "--control-port", port)
    assert "\nPULSE1.PULSES=0\n" in said


async def test_what_was_saved_can_be_loaded_into_another_panda(panda: Server, port: str, tmp_path: Path) -> None:
    """With everything that does not fit in one line: tables, long labels, non-ASCII text."""
    file = tmp_path / "setup.sav"
    settings = [
        *(
            "*METADATA.LABEL_SEQ1=" + "µ" * 117,
            "COUNTER1.OUT.UNITS=µm",
            "LUT1.FUNC=A&~B|C?D:E",
            "TTLOUT1.VAL=SEQ1.OUTA",
        ),
        *("PGEN1.TABLE<", "1", "2", "3", "", "*METADATA.LAYOUT<", "<xml a='b'>", "é", ""),
    ]
    (tmp_path / "wanted").write_text("".join(f"{line}\n" for line in settings), encoding="utf-8")
    await panda_ioc("load", "127.0.0.1", tmp_path / "wanted", "--control-port", port)
    await panda_ioc("save", "127.0.0.1", file, "--control-port", port)
    async with Server(load(), control_port=0, data_port=0) as other:
        options = ("--control-port", str(other.control_port))
        await panda_ioc("load", "127.0.0.1", file, *options)
        await panda_ioc("save", "127.0.0.1", tmp_path / "again", *options)
        assert other.panda.fields["PGEN1.TABLE"].read() == ["1", "2", "3"]
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


async def test_a_setup_of_other_firmware(panda: Server, port: str, tmp_path: Path) -> None:
    file = tmp_path / "setup.sav"
    unknown = [f"NOPE{number}.X=1" for number in range(9)]
    file.write_text("\n".join(["PULSE1.PULSES=14", *unknown, ""]), encoding="utf-8")
    refused = await panda_ioc("load", "127.0.0.1", file, "--control-port", port, code=1)
    assert all(f"{line}: No such block" in refused for line in unknown)
    said = await panda_ioc("load", "127.0.0.1", file, "--skip-unknown", "--control-port", port)
    assert said.splitlines() == [
        f"loaded {file} into 127.0.0.1, except for what it does not have:",
        *(f"  {line}: No such block" for line in unknown),
    ]
    assert panda.panda.fields["PULSE1.PULSES"].raw == 14
