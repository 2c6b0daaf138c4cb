"""The DATA PVs of an IOC under test."""

import asyncio
from pathlib import Path
from typing import Any

import h5py

from .process import Ioc


class DataPvs:
    """`DATA:...` of an IOC."""

    def __init__(self, ioc: Ioc, directory: Path) -> None:
        self.ioc = ioc
        self.path = directory / "x.h5"

    async def put(self, name: str, value: Any) -> None:
        await self.ioc.pva_put(f"DATA:{name}", value)

    async def get(self, name: str) -> Any:
        return await self.ioc.pva_get(f"DATA:{name}")

    async def until(self, name: str, value: object) -> None:
        """Wait for a value of a monitor."""
        queue: asyncio.Queue[Any] = asyncio.Queue()
        subscription = self.ioc.pva.monitor(self.ioc.pv(f"DATA:{name}"), queue.put)
        try:
            async with asyncio.timeout(10):
                while await queue.get() != value:
                    pass
        finally:
            subscription.close()

    async def arm(self) -> None:
        await self.ioc.pva_put("PCAP:ARM", 1)

    def column(self, name: str = "COUNTER1.OUT.Value") -> list[float]:
        with h5py.File(self.path, swmr=True) as file:
            return [float(value) for value in file[name][:]]
