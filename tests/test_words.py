"""Messages to users are texts of this project or of the operating system, not of Python."""

import asyncio
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from panda_ioc.capture.files import check_within
from panda_ioc.client import AsyncioClient, BlockingClient
from panda_ioc.ioc.plan.codecs import IntCodec, Refusal
from panda_ioc.protocol import GetTable, PandaError, RemoteProtocolError, ScalarFieldInfo
from panda_ioc.protocol.header import parse_header

from .conftest import Hostile
from .ioc.test_plan import plan_of
from .words import PYTHON


def told(call: Callable[[], object]) -> str:
    with pytest.raises(PandaError) as caught:
        call()
    text = str(caught.value)
    assert not PYTHON.search(text), text
    return text


@pytest.mark.parametrize(
    ("host", "port"),
    [
        *((host, 8888) for host in ("\0", "a" * 300, "..", "\udcff", "::1%")),
        *(("127.0.0.1", port) for port in (0, -1, 1 << 20)),
    ],
)
async def test_a_host_that_is_none(host: str, port: int) -> None:
    client = AsyncioClient(host, port, timeout=2)
    with pytest.raises(PandaError) as caught:
        await client.connect()
    assert not PYTHON.search(str(caught.value)), caught.value
    text = await asyncio.to_thread(told, BlockingClient(host, port, timeout=2).connect)
    assert "cannot connect to" in text


async def test_a_connection_that_is_reset() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.close()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncioClient("127.0.0.1", port, port) as client:
            with pytest.raises(PandaError, match="Connection reset by peer") as caught:
                await client.send(GetTable("SEQ1.TABLE"))
            assert not PYTHON.search(str(caught.value)), caught.value
            with pytest.raises(PandaError, match="Connection reset by peer") as caught:
                async for _ in client.data():
                    pass
            assert not PYTHON.search(str(caught.value)), caught.value


@pytest.mark.parametrize("answer", ["!A", "!AAAAA", "!=", "!\u00e9\u00e9", "!AAA=AAA="])
async def test_base64_that_is_none(answer: str) -> None:
    async with Hostile(f"{answer}\n.\nOK =FIXED\n".encode(), after=b"MODE?\n") as server:
        async with AsyncioClient("127.0.0.1", server.port) as client:
            with pytest.raises(RemoteProtocolError) as caught:
                await client.send(GetTable("SEQ1.TABLE"))
    assert not PYTHON.search(str(caught.value)), caught.value


FIELDS = '<fields><field name="A.B" type="double" capture="Value" scale="1" offset="0" units="" /></fields>'


@pytest.mark.parametrize(
    "header",
    [
        "",
        "<header>",
        "<header></header>",
        '<header><data missed="x" sample_bytes="8" />' + FIELDS + "</header>",
        '<header><data sample_bytes="8.0" />' + FIELDS + "</header>",
        '<header><data sample_bytes="8" />' + FIELDS.replace('scale="1"', 'scale="one"') + "</header>",
        '<header><data sample_bytes="8" />' + FIELDS.replace('capture="Value"', "") + "</header>",
        '<header><data sample_bytes="8" />' + FIELDS.replace("double", "int7") + "</header>",
        '<header><data sample_bytes="' + "9" * 5000 + '" />' + FIELDS + "</header>",
    ],
)
def test_a_header_that_is_none(header: str) -> None:
    assert "header" in told(lambda: parse_header(header.encode()))


@pytest.mark.parametrize("scale", ["inf", "nan", "-inf", "1e308", "5e-324"])
def test_scales_of_any_size(scale: str) -> None:
    """A server can report this: OFFSET accepts inf."""
    record = plan_of(("A", ScalarFieldInfo("param", "scalar", scale=float(scale))))["NEW:A"]
    assert record.precision in range(5, 16)


def test_numbers_of_any_size() -> None:
    with pytest.raises(Refusal, match=re.escape("1e+300 is out of range 0 to 9")):
        IntCodec(0, 9).encode(1e300)


def test_links_that_lead_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    told(lambda: check_within(tmp_path / "a" / "file", [tmp_path]))
