"""`panda-ioc console`: at a terminal, at the end of a pipe, from a file."""

import asyncio
import os
import pty
from pathlib import Path
from typing import Any

import pytest

from panda_ioc.simulator import Server

from ..command import panda_ioc, running


async def test_console_from_a_pipe(panda: Server, port: str) -> None:
    said = await panda_ioc(
        *("console", "127.0.0.1", "--control-port", port),
        stdin="*CLOCK_FREQ?\nPULSE1.PULSES=3\n\nNOPE?\nPGEN1.TABLE<\n1\n2\n\nPGEN1.TABLE?\n*METADATA.DESIGN=a<b\n",
        code=1,  # one of them failed
    )
    assert said.splitlines() == [
        *("OK =125000000", "OK", "ERR No such block"),
        *("OK", "!1", "!2", ".", "OK"),
    ]
    assert panda.panda.fields["PULSE1.PULSES"].raw == 3


async def test_console_does_not_send_a_table_that_ended_early(panda: Server, port: str) -> None:
    said = await panda_ioc("console", "127.0.0.1", "--control-port", port, stdin="PGEN1.TABLE<\n1\n2", code=1)
    assert "PGEN1.TABLE" in said
    assert panda.panda.fields["PGEN1.TABLE"].read() == []


async def test_console_completes_names_and_choices(panda: Server, port: str) -> None:
    main, side = pty.openpty()
    output = ""

    async def until(text: str) -> None:
        nonlocal output
        async with asyncio.timeout(15):
            while text not in output:
                output += (await asyncio.to_thread(os.read, main, 4096)).decode(errors="replace")
        output = output.partition(text)[2]

    terminal = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    async with running(
        *("console", "127.0.0.1", "--control-port", port, "--prompt", "panda$ "),
        environment=terminal,
        stdin=side,
        stdout=side,
        stderr=side,
    ) as process:
        os.close(side)
        await until("panda$")
        # Input and expected output: a menu of choices, the completion, the reply.
        for typed, shown in [
            (b"TTLOUT10.V", "MAX_DELAY"),
            (b"\t", "AL"),
            (b"=ON", " ONE "),
            (b"\t", "E"),
            (b"\r", "OK\r\n"),
            (b"", "panda$"),
        ]:
            os.write(main, typed)
            await until(shown)
        assert panda.panda.fields["TTLOUT10.VAL"].read() == "ONE"
        os.write(main, b"\x04")
        assert await asyncio.wait_for(process.wait(), 10) == 0
    os.close(main)


async def test_console_from_a_file(panda: Server, port: str, tmp_path: Path) -> None:
    (tmp_path / "commands").write_text("PULSE1.PULSES=3\nPULSE1.PULSES?\n", encoding="utf-8")
    pipe = asyncio.subprocess.PIPE
    with (tmp_path / "commands").open() as file:
        async with running("console", "127.0.0.1", "--control-port", port, stdin=file, stdout=pipe) as process:
            said, _ = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, said) == (0, b"OK\nOK =3\n")


async def test_console_is_sent_what_no_panda_takes(port: str) -> None:
    """A line that cannot be sent gives an error, and the next line is sent."""
    options = ("console", "127.0.0.1", "--control-port", port)
    said = await panda_ioc(*options, stdin=f"PULSE1.PULSES={'1' * 2000}\n*CLOCK_FREQ?\n", code=1)
    assert said.splitlines()[1:] == ["OK =125000000"]
    assert said.startswith("! ")
    assert "too long: the limit is 1 MiB" in await panda_ioc(*options, stdin="x" * (3 << 20), code=1)


async def test_the_panda_goes_while_the_console_asks() -> None:
    async def answer_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (b"OK =PandA SW: 4.1 FPGA: 0.0.0 0 0 rootfs: x\n", b"OK =1\n"):
            await reader.readline()
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(answer_twice, "127.0.0.1", 0) as server:
        options = ("console", "127.0.0.1", "--control-port", str(server.sockets[0].getsockname()[1]))
        said = await panda_ioc(*options, stdin="A.B?\nA.C?\n", code=1)
    assert said.startswith("OK =1\nError: ")


@pytest.mark.parametrize("end", ["exit", " quit "])
async def test_the_console_is_told_to_end(port: str, end: str) -> None:
    options = ("console", "127.0.0.1", "--control-port", port)
    assert await panda_ioc(*options, stdin=f"*CLOCK_FREQ?\n{end}\n*CLOCK_FREQ?\n") == "OK =125000000\n"
    data = f"*METADATA.LAYOUT<\n{end}\n\n*METADATA.LAYOUT?\n"  # where it has no meaning
    assert await panda_ioc(*options, stdin=data) == f"OK\n!{end}\n.\n"


async def test_nobody_reads_what_the_console_says(port: str) -> None:
    options = ("console", "127.0.0.1", "--control-port", port)
    program = ("/bin/sh", "-c", '"$@" | head -n 1', "sh")
    pipe = asyncio.subprocess.PIPE
    streams: Any = {"stdin": pipe, "stdout": pipe, "stderr": asyncio.subprocess.STDOUT}
    async with running(*options, through=program, **streams) as process:
        said, _ = await asyncio.wait_for(process.communicate(b"*CHANGES=S\n*CHANGES?\n" * 2000), 20)
    assert said == b"OK\n"
