"""Ask a PandA what it has."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any

from ...client import AsyncioClient
from ...protocol import (
    ChangeGroup,
    CommandError,
    FieldInfo,
    GetBlockInfo,
    GetFieldInfo,
    GetTable,
    Identify,
    LocalProtocolError,
    Poll,
    RemoteProtocolError,
    TableContent,
    TableFieldInfo,
)
from ..plan.model import Block, Model

#: More instances of one block than any FPGA holds: a server that says so is not to be believed.
MAX_INSTANCES = 1024

#: More fields, of all instances together, than any FPGA has: a PandABox has some 1000. Each is several records.
MAX_FIELDS = 10_000


async def introspect(client: AsyncioClient) -> Model:
    """Ask for all there is to know, in four round trips for any number of blocks, and two more inside.

    A block that the PandA cannot describe is left out with a remark: all others can still be served.

    Args:
        client: connected; what it is told here counts as told in later polls

    Raises:
        PandaError: see `AsyncioClient.send`
    """
    identity, infos = await _all(client.send(Identify()), client.send(GetBlockInfo()))
    remarks = []
    for name, info in list(infos.items()):
        if not 1 <= info.number <= MAX_INSTANCES:
            remarks.append(f"block {name} is not served: the PandA claims to have {info.number} of it")
            del infos[name]
    *told, polled = await _all(*(_fields(client, name) for name in infos), client.send(Poll((ChangeGroup.ALL,))))
    fields: dict[str, Mapping[str, FieldInfo] | str] = dict(zip(infos, told, strict=True))
    if polled.refused:
        raise CommandError("*CHANGES?", polled.refused[ChangeGroup.ALL])
    remarks += [f"block {name} is not served: {told}" for name, told in fields.items() if isinstance(told, str)]
    blocks = {name: Block(name, infos[name], told) for name, told in fields.items() if not isinstance(told, str)}
    remarks += _leave_out_what_is_too_much(blocks)
    model = Model(
        identity,
        blocks,
        polled.changes,
        tuple(remarks),
    )
    names = [f"{instance}.{name}" for instance, name, info in model.fields() if isinstance(info, TableFieldInfo)]
    contents = dict(zip(names, await _all(*(_table(client, name) for name in names)), strict=True))
    return replace(
        model,
        tables={name: content for name, content in contents.items() if isinstance(content, TableContent)},
        unread={name: problem for name, problem in contents.items() if isinstance(problem, str)},
    )


def _leave_out_what_is_too_much(blocks: dict[str, Block]) -> list[str]:
    """Leave out the blocks with which there would be too many fields in all; return what is to be said of them."""
    remarks: list[str] = []
    total = 0
    for name, block in list(blocks.items()):
        count = block.info.number * len(block.fields)
        if total + count > MAX_FIELDS:
            remarks.append(
                f"block {name} is not served: its {block.info.number} instances have {count} fields, which with the "
                f"{total} of other blocks is more than {MAX_FIELDS}"
            )
            del blocks[name]
        else:
            total += count
    return remarks


async def _table(client: AsyncioClient, name: str) -> TableContent | str:
    """What a table holds, or why it cannot be read."""
    try:
        return await client.send(GetTable(name))
    except (CommandError, RemoteProtocolError) as error:
        if not client.connected:
            raise
        return str(error)


async def _all(*coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
    """Await all at once; when one fails, the others are not left running."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _fields(client: AsyncioClient, block: str) -> Mapping[str, FieldInfo] | str:
    """The fields of a block, or why it has none that make sense."""
    try:
        return await client.send(GetFieldInfo(block))
    except (CommandError, LocalProtocolError, RemoteProtocolError) as error:
        if not client.connected:
            raise
        return str(error)
