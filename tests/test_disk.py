"""Calls to a disk, each in a thread of its own."""

import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from panda_ioc import disk
from panda_ioc.disk import Disk, DiskError


@pytest.fixture
def lingering() -> Iterator[None]:
    """Threads that have given their answer do not end meanwhile."""
    end = threading.Event()

    def linger(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is disk._run.__code__:
            end.wait(10)

    threading.setprofile(linger)
    yield
    threading.setprofile(None)
    end.set()


async def test_a_call_may_follow_the_answer_at_once(lingering: None) -> None:
    """The thread of the one before need not have ended."""
    calls = Disk()
    assert [await calls.call("here", abs, number) for number in (-1, -2)] == [1, 2]
    assert calls.wait("here", abs, -3) == 3


async def test_no_call_follows_one_that_is_not_answered() -> None:
    calls, answer = Disk(0.05), threading.Event()
    with pytest.raises(DiskError, match="here: the disk did not answer within 0.05 s"):
        await calls.call("here", answer.wait, 10)
    with pytest.raises(DiskError, match="has not answered yet"):
        await calls.call("here", abs, -1)
    answer.set()
