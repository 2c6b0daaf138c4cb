"""The Channel Access client of this process ends before its event loop does."""

from collections.abc import AsyncIterator

import aioca
import pytest


@pytest.fixture(scope="session", autouse=True)
async def close_channels() -> AsyncIterator[None]:
    yield
    aioca.purge_channel_caches()
