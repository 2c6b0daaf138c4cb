"""Calls to a disk, each in a separate thread."""

import asyncio
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from panda_ioc import calls as calls_module
from panda_ioc.calls import NoAnswerError, SerialExecutor


@pytest.fixture
def lingering() -> Iterator[None]:
    """Threads that have returned their result do not end meanwhile."""
    end = threading.Event()

    def linger(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is calls_module._run.__code__:
            end.wait(10)

    threading.setprofile(linger)
    yield
    threading.setprofile(None)
    end.set()


async def test_a_call_may_follow_the_answer_at_once(lingering: None) -> None:
    """The thread of the previous call may still run."""
    calls = SerialExecutor()
    assert [await calls.call("here", abs, number) for number in (-1, -2)] == [1, 2]
    assert calls.wait("here", abs, -3) == 3


async def test_no_call_follows_one_that_is_not_answered() -> None:
    calls, answer = SerialExecutor(timeout=0.05), threading.Event()
    with pytest.raises(NoAnswerError, match="here: the disk did not answer within 0.05 s"):
        await calls.call("here", answer.wait, 10)
    with pytest.raises(NoAnswerError, match="has not answered yet"):
        await calls.call("here", abs, -1)
    answer.set()


async def test_a_call_that_is_cancelled_as_it_is_answered() -> None:
    calls, answer = SerialExecutor(), threading.Event()
    task = asyncio.create_task(calls.call("here", answer.wait, 10))
    await asyncio.sleep(0)
    answer.set()
    while calls.pending:
        time.sleep(0.001)  # noqa: ASYNC251 - the event loop is not to learn of the answer yet
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
