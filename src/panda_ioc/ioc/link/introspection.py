"""Introspection: read the description of a PandA."""

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

#: Maximum number of instances of a block; more than any FPGA has, to reject invalid replies.
MAX_INSTANCES = 1024

#: Maximum number of fields of all instances; a PandABox has about 1000. Each field is several records.
MAX_FIELDS = 10_000


async def introspect(client: AsyncioClient) -> Model:
    """Read the description and all values of a PandA, in at most six round trips for any number of blocks.

    A block with an invalid description is omitted, with a remark in the model; other blocks are not affected.

    Args:
        client: a connected client; its later polls report changes since this call

    Raises:
        PandaError: see `AsyncioClient.send`
    """
    identity, infos = await _all(client.send(Identify()), client.send(GetBlockInfo()))
    remarks = []
    for name, info in list(infos.items()):
        if not 1 <= info.number <= MAX_INSTANCES:
            remarks.append(
                f"block {name} is not served: it has {info.number} instances; 1 to {MAX_INSTANCES} are valid"
            )
            del infos[name]
    *replies, polled = await _all(*(_fields(client, name) for name in infos), client.send(Poll((ChangeGroup.ALL,))))
    fields: dict[str, Mapping[str, FieldInfo] | str] = dict(zip(infos, replies, strict=True))
    if polled.refused:
        raise CommandError("*CHANGES?", polled.refused[ChangeGroup.ALL])
    remarks += [
        f"block {name} is not served: {problem}" for name, problem in fields.items() if isinstance(problem, str)
    ]
    blocks = {
        name: Block(name, infos[name], content) for name, content in fields.items() if not isinstance(content, str)
    }
    remarks += _limit_fields(blocks)
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


def _limit_fields(blocks: dict[str, Block]) -> list[str]:
    """Remove blocks that exceed the total number of fields; return a remark for each."""
    remarks: list[str] = []
    total = 0
    for name, block in list(blocks.items()):
        count = block.info.number * len(block.fields)
        if total + count > MAX_FIELDS:
            remarks.append(
                f"block {name} is not served: its {block.info.number} instances have {count} fields; with the {total} "
                f"fields of other blocks this exceeds the limit of {MAX_FIELDS}"
            )
            del blocks[name]
        else:
            total += count
    return remarks


async def _table(client: AsyncioClient, name: str) -> TableContent | str:
    """Return the content of a table, or the reason why it cannot be read."""
    try:
        return await client.send(GetTable(name))
    except (CommandError, RemoteProtocolError) as error:
        if not client.connected:
            raise
        return str(error)


async def _all(*coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
    """Await coroutines concurrently; if one fails, cancel the others."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _fields(client: AsyncioClient, block: str) -> Mapping[str, FieldInfo] | str:
    """Return the fields of a block, or the reason why they are invalid."""
    try:
        return await client.send(GetFieldInfo(block))
    except (CommandError, LocalProtocolError, RemoteProtocolError) as error:
        if not client.connected:
            raise
        return str(error)
