"""Ask a PandA what it has."""

import asyncio

from ..client import AsyncioClient
from ..protocol import ChangeGroup, GetBlockInfo, GetFieldInfo, Identify, PandaError
from .model import Block, Model
from .poll import Poll

#: More instances of one block than any FPGA holds: a server that says so is not to be believed.
MAX_INSTANCES = 1024


class ModelError(PandaError):
    """The PandA describes itself in a way that cannot be served."""


async def introspect(client: AsyncioClient) -> Model:
    """Ask for all there is to know, in three round trips for any number of blocks, and two more inside.

    Args:
        client: connected; what it is told here counts as told in later polls

    Raises:
        ModelError: what it says makes no sense
        PandaError: see `AsyncioClient.send`
    """
    identity, block_infos = await asyncio.gather(client.send(Identify()), client.send(GetBlockInfo()))
    for name, info in block_infos.items():
        if not 1 <= info.number <= MAX_INSTANCES:
            raise ModelError(f"the PandA claims to have {info.number} blocks {name}, not 1 to {MAX_INSTANCES}")
    asked = asyncio.gather(*(client.send(GetFieldInfo(name)) for name in block_infos))
    polled = await client.send(Poll((ChangeGroup.ALL,)))
    fields = await asked
    blocks = {
        name: Block(name, info, block_fields)
        for (name, info), block_fields in zip(block_infos.items(), fields, strict=True)
    }
    return Model(identity, blocks, polled.changes)
