"""A server that replays the replies of a real PandABox."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def replaying(shared: Path, control_port: int, data_port: int) -> AsyncIterator[int]:
    """Run the replay server of the recordings' folder on two ports; yield the control port."""
    replay = await asyncio.create_subprocess_exec(
        *(sys.executable, str(shared / "tools" / "replay_panda.py")),
        *("--control-port", str(control_port), "--data-port", str(data_port)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert replay.stdout
        await asyncio.wait_for(replay.stdout.readline(), 10)
        yield control_port
    finally:
        replay.terminate()
        await replay.wait()
