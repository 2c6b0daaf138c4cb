"""Metrics and probes over HTTP, also with hostile clients."""

import asyncio
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from panda_ioc.ioc.process.http import MAX_CONNECTIONS, Answer, HttpServer
from panda_ioc.simulator import Server

from ..command import outcome
from ..conftest import free_port, until
from . import slow_clients
from .process import becomes, environment, running_ioc


async def get(port: int, path: str) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(ask)


async def test_http(ca_ports: Iterator[int]) -> None:
    from panda_ioc.simulator import load

    panda_port, port = free_port(), free_port()
    async with Server(load(), control_port=panda_port, data_port=0):
        async with running_ioc(panda_port, "TEST-HTTP", ca_ports, "--http-port", str(port)) as ioc:
            await ioc.pva_put("PULSE1:PULSES", 5)
            await becomes(ioc.pv("IOC:PUTS_ACCEPTED"), 1)
            status, text = await get(port, "/metrics")
            metrics = {
                sample.name: sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }
            assert status == 200
            assert metrics["panda_ioc_connected"] == 1
            assert metrics["panda_ioc_puts_accepted_total"] == 1
            assert 0 < metrics["panda_ioc_poll_period_seconds"] < 0.2
            assert metrics["process_resident_memory_bytes"] > 1e7
            assert await get(port, "/healthz") == (200, "alive\n")
            assert await get(port, "/readyz") == (200, "connected\n")
            assert (await get(port, "/"))[0] == 404
            assert await ioc.stop() == 0


@pytest.mark.parametrize("count", [2 * MAX_CONNECTIONS, 1000])
async def test_http_while_slow_clients_want_all_of_it(panda: Server, ca_ports: Iterator[int], count: int) -> None:
    """Clients that send their request byte by byte, and reconnect when they are closed."""
    port = free_port()
    prefix = f"TEST-SLOW-{count}"
    async with running_ioc(panda.control_port, prefix, ca_ports, "--http-port", str(port)) as ioc:
        process = psutil.Process(ioc.process.pid)
        idle = process.num_fds()
        slow_ones = await asyncio.create_subprocess_exec(sys.executable, slow_clients.__file__, str(port), str(count))
        try:
            await until(lambda: process.num_fds() >= idle + MAX_CONNECTIONS // 2)
            for _ in range(10):
                assert await asyncio.wait_for(get(port, "/healthz"), 5) == (200, "alive\n")
            assert process.num_fds() <= idle + 2 * MAX_CONNECTIONS
        finally:
            slow_ones.kill()
            await slow_ones.wait()
        assert await ioc.stop() == 0
        assert not [line for line in ioc.output if "Traceback" in line or "Error" in line]


async def _is_closed_within(reader: asyncio.StreamReader, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return not await reader.read(1)
    except TimeoutError:
        return False


@pytest.mark.long
async def test_http_has_no_patience_for_a_slow_client(panda: Server, ca_ports: Iterator[int]) -> None:
    """The time limit is for the whole request, not for each byte."""
    port = free_port()
    async with running_ioc(panda.control_port, "TEST-SLOW", ca_ports, "--http-port", str(port)):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(10):
            while not await _is_closed_within(reader, 0.5):
                writer.write(b"X")
        writer.transport.abort()


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.0 200 OK"),
        (b"HEAD /healthz?x=1 HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK"),
        (b"POST /healthz HTTP/1.0\r\n\r\n", b"HTTP/1.0 405 Method Not Allowed"),
        (b"GET /x HTTP/1.0\r\n\r\n", b"HTTP/1.0 404 Not Found"),
        (b"\xff\x00\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
        (b"GET /healthz HTTP/1.0\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
        (b"GET /heal", b""),
    ],
)
async def test_http_requests(sent: bytes, answer: bytes) -> None:
    server = HttpServer("127.0.0.1", 0, {"/healthz": lambda: Answer(200, b"alive\n")})
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        if not answer:
            writer.write_eof()
        line = await asyncio.wait_for(reader.readline(), 5)
        assert line == (answer and answer + b"\r\n")
        content = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")[2]
        assert (content == b"") == (sent.startswith(b"HEAD") or not answer)
        writer.close()
    finally:
        await asyncio.to_thread(server.stop)


def test_http_asks_no_name_server() -> None:
    """Python reports its actions to audit hooks, which cannot be removed, so this runs in another process."""
    program = """
import sys
from panda_ioc.ioc.process.http import HttpServer
asked = []
sys.addaudithook(lambda event, _: asked.append(event) if event.startswith("socket.get") else None)
HttpServer("127.0.0.1", 0, {}).stop()
print(asked)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "[]\n"


async def test_http_tells_that_the_panda_is_away(ca_ports: Iterator[int], tmp_path: Path) -> None:
    from panda_ioc.simulator import load

    panda_port, port = free_port(), free_port()
    options = ("--http-port", str(port), "--state-dir", str(tmp_path))
    async with Server(load(), control_port=panda_port, data_port=0):
        async with running_ioc(panda_port, "TEST-AWAY", ca_ports, *options) as ioc:
            await ioc.stop()
    async with running_ioc(panda_port, "TEST-AWAY", ca_ports, *options):
        assert (await get(port, "/readyz"))[0] == 503
        assert (await get(port, "/healthz"))[0] == 200


async def test_http_is_there_before_the_panda(ca_ports: Iterator[int]) -> None:
    port = free_port()
    options = ("--http-port", str(port))
    async with running_ioc(free_port(), "TEST-FIRST", ca_ports, *options, ready="retrying until it connects") as ioc:
        assert await get(port, "/healthz") == (200, "alive\n")
        assert await get(port, "/readyz") == (503, "no PVs yet: waiting for the PandA\n")
        assert (await get(port, "/metrics"))[0] == 200
        assert await ioc.stop() == 0


async def test_a_port_that_is_taken(panda: Server, ca_ports: Iterator[int]) -> None:
    """The IOC serves without HTTP, and with it once the port is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ("--http-port", str(port))
        async with running_ioc(panda.control_port, "TEST-TAKEN", ca_ports, *options) as ioc:
            assert f"cannot serve HTTP on 127.0.0.1:{port}: another process uses the port" in " ".join(ioc.output)
            await becomes(ioc.pv("Status"), 2)
            taken.close()
            await ioc.wait_for("listening for HTTP on")
            assert await get(port, "/healthz") == (200, "alive\n")
            assert await ioc.stop() == 0


async def test_an_address_that_is_not_ours(panda: Server) -> None:
    port = ("--control-port", str(panda.control_port))
    options = ("run", "127.0.0.1", "X", *port, "--http-host", "192.0.2.1", "--http-port", "8080")
    code, output = await outcome(*options, environment=environment(free_port()))
    assert code == 1
    assert "cannot serve HTTP on 192.0.2.1:8080: Cannot assign requested address" in output
