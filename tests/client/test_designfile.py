"""Loading a design, when what was before cannot be brought back either."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from panda_ioc import designfile
from panda_ioc.calls import Calls
from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import SetState
from panda_ioc.simulator import Server


@asynccontextmanager
async def until_a_put(panda: Server, answer: bytes | None) -> AsyncIterator[int]:
    """A PandA behind a port that takes all but assignments, and answers these itself, or hangs up (None)."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", panda.control_port)

        async def answers() -> None:
            while data := await there.read(65536):
                writer.write(data)

        answering = asyncio.create_task(answers())
        async for line in reader:
            if b"=" not in line or line.startswith(b"*"):
                back.write(line)
            elif answer is None:
                break
            else:
                writer.write(answer)
        answering.cancel()
        writer.close()
        back.close()

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"ERR No\n", "refused .*, and not all could be brought back: .*: No.*: PULSE1.PULSES=9: No"),
        (None, "did not come to an end, and it is not known what is set now .*: lost the connection"),
        (b"", "did not come to an end, and it is not known what is set now .*: .* did not answer"),
    ],
)
async def test_what_was_before_cannot_be_brought_back(
    panda: Server, tmp_path: Path, answer: bytes | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(designfile, "TIMEOUT", 1.0)
    path = tmp_path / "x.design"
    path.write_text("PULSE1.PULSES=9\n")
    async with until_a_put(panda, answer) as port, AsyncioClient("127.0.0.1", port) as client:
        with pytest.raises(designfile.DesignError, match=said):
            await designfile.load(client, path, Calls())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("PULSE1.PULSES=9\nnonsense\n", "x.design: line 2: 'nonsense' is neither an assignment"),
        ("PULSE1.PULSES=9\nPGEN1.TABLE<\n", "x.design: line 2: the data of 'PGEN1.TABLE<' does not end"),
        ("PULSE1.PULSES=9\n\nPGEN1.TABLE<\n1\n", "x.design: line 3: the data of 'PGEN1.TABLE<' does not end"),
        ("PULSE1.PULSES=9\nPGEN1.TABLE<\n1", "x.design: line 2: the data of 'PGEN1.TABLE<' does not end"),
        ("", "x.design: there is no setting in it"),
        ("# PULSE1.PULSES=9\n\n", "x.design: there is no setting in it"),
    ],
)
async def test_what_is_no_whole_design_is_not_sent(panda: Server, tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "x.design"
    path.write_text(content)
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        await client.send(SetState(["PGEN1.TABLE<", "1", "2", ""]))
        with pytest.raises(designfile.DesignError, match=said):
            await designfile.load(client, path, Calls())
    assert panda.panda.fields["PULSE1.PULSES"].read() == "0"
    assert panda.panda.fields["PGEN1.TABLE"].read() == ["1", "2"]


async def test_an_endless_file_is_not_read_to_its_end(panda: Server) -> None:
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        with pytest.raises(designfile.DesignError, match="/dev/zero: has more than 100 MB"):
            await designfile.load(client, Path("/dev/zero"), Calls())


async def test_an_empty_table_is_whole(panda: Server, tmp_path: Path) -> None:
    path = tmp_path / "x.design"
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        await designfile.save(client, path, Calls())
        assert "\nPGEN1.TABLE<B\n\n" in path.read_text()
        await designfile.load(client, path, Calls())
