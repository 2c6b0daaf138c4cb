"""Read every setting and write the same value back, as scan software and operators do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from aioca import DBR_CHAR_STR, FORMAT_TIME, caget, caput

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.link.introspection import introspect
from panda_ioc.ioc.plan.plan import make_plan
from panda_ioc.ioc.plan.record import Access, Kind, Record

from .process import Ioc

WriteBack = Callable[[Ioc, Record], Awaitable[None]]


async def over_ca(ioc: Ioc, record: Record) -> None:
    pv = ioc.pv(record.name)
    datatype = DBR_CHAR_STR if record.kind is Kind.TEXTOUT else None
    await caput(pv, await caget(pv, datatype=datatype), datatype=datatype, wait=True, timeout=10)


async def over_pva(ioc: Ioc, record: Record) -> None:
    await ioc.pva_put(record.name, await ioc.pva_get(record.name))


async def settings_of(panda_port: int) -> list[Record]:
    """Return the planned records that can be read and written."""
    async with AsyncioClient("127.0.0.1", panda_port) as client:
        plan = make_plan(await introspect(client), "X")
    return [record for record in plan.records if record.access is Access.READ_WRITE]


async def write_back(ioc: Ioc, settings: Sequence[Record], way: WriteBack) -> None:
    """Write all values back concurrently; check that none is refused or in alarm."""
    refused = await caget(ioc.pv("IOC:PUTS_REFUSED"))
    await asyncio.gather(*(way(ioc, record) for record in settings))
    assert await caget(ioc.pv("IOC:PUTS_REFUSED")) == refused, await ioc.pva_get("IOC:LAST_REFUSED")
    values = await caget([ioc.pv(record.name) for record in settings], format=FORMAT_TIME)
    assert [str(value.name) for value in values if value.severity] == []
