"""A client process that puts one value after another to a record, each with completion.

python -m tests.ioc.putting ca|pva PV FIRST COUNT
"""

import asyncio
import os
import sys

from aioca import caput
from p4p.client.asyncio import Context


async def over_ca(pv: str, values: range) -> None:
    for value in values:
        await caput(pv, value, wait=True, timeout=10)


async def over_pva(pv: str, values: range) -> None:
    with Context("pva", conf=dict(os.environ), useenv=False) as context:
        for value in values:
            await asyncio.wait_for(context.put(pv, value, wait=True), 10)


if __name__ == "__main__":
    how, pv, first, count = sys.argv[1:]
    values = range(int(first), int(first) + int(count))
    asyncio.run({"ca": over_ca, "pva": over_pva}[how](pv, values))
