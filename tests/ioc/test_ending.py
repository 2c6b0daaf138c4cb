"""Shutdown of an IOC when some of its parts cannot shut down."""

import asyncio
import logging
from pathlib import Path

import pytest

from panda_ioc.ioc.ending import EXIT_FAILED, EXIT_RESTART
from panda_ioc.ioc.link.panda import Address, PandaLink
from panda_ioc.ioc.plan.plan import Plan
from panda_ioc.ioc.process.run import code_of_stopped
from panda_ioc.ioc.services.designs import Designs
from panda_ioc.ioc.services.dispatch import Services


class Closing(Designs):
    """A service that remembers that it was closed."""

    closed = False

    async def close(self) -> None:
        await super().close()
        self.closed = True


class Broken(Closing):
    async def close(self) -> None:
        await super().close()
        raise OSError("the disk is gone")


async def test_one_that_cannot_be_closed_keeps_no_other_from_it() -> None:
    link = PandaLink(Address("127.0.0.1", 0, 0), {})
    services = {str(number): kind(link, Path("/nowhere")) for number, kind in enumerate((Broken, Closing, Broken))}
    with pytest.raises(ExceptionGroup) as failed:
        await Services(Plan("X", ()), services).close()
    assert len(failed.value.exceptions) == 2
    assert all(service.closed for service in services.values())


@pytest.mark.parametrize("fails", [False, True])
async def test_what_goes_wrong_at_the_end_is_logged(fails: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def serve() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            if fails:
                raise OSError("the disk is gone")
        return 0

    task = asyncio.create_task(serve())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    with caplog.at_level(logging.ERROR):
        assert code_of_stopped(task, EXIT_RESTART) == (EXIT_FAILED if fails else EXIT_RESTART)
    assert ("the disk is gone" in caplog.text) == fails
