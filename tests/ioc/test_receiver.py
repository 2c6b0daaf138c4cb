"""The data connection of the IOC when the PandA is lost."""

import asyncio
import struct

from panda_ioc.client import AsyncioClient, PandaConnectionError
from panda_ioc.ioc.services.data.receiver import DataConsumer, Receiver
from panda_ioc.protocol import PandaError

HEADER = b"""OK
<header>
<data arm_time="2026-11-22T07:08:02.609244246Z" missed="0" process="Raw" format="Framed" sample_bytes="4" />
<fields>
<field name="COUNTER1.OUT" type="int32" capture="Value" scale="1" offset="0" units="" />
</fields>
</header>

"""
FRAMES, SAMPLES = 200, 8192  # of 32 KiB each: they fit into the queue of the client
FRAME = struct.pack("<4sI", b"BIN ", 4 * SAMPLES + 8) + bytes(4 * SAMPLES)


async def test_what_was_received_before_a_loss_is_kept() -> None:
    """The consumer is slow, so most frames wait when the PandA is lost."""
    sent, room, reached = asyncio.Event(), asyncio.Event(), asyncio.Event()
    lost = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.set_write_buffer_limits(0)
        writer.write(HEADER + FRAME * FRAMES)
        await writer.drain()
        sent.set()
        await reader.read()
        writer.close()

    async def wait_room() -> None:
        if receiver.total >= 5 * SAMPLES:
            reached.set()
            await room.wait()

    async def captured() -> int | None:
        return None

    def note_loss(error: PandaError) -> None:
        lost.set_result((receiver.total, str(error)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        receiver = Receiver(DataConsumer(lambda: None, lambda *_: None, captured, wait_room, note_loss))
        receiver.open(AsyncioClient("127.0.0.1", data_port=port))
        async with asyncio.timeout(10):
            await sent.wait()
            await reached.wait()
            receiver.drop(PandaConnectionError("it was lost"))
            room.set()
            assert await lost == (FRAMES * SAMPLES, "it was lost")
        await receiver.close()
