"""Fixtures for the tests of all commands."""

import pytest

from panda_ioc.simulator import Server


@pytest.fixture
def port(panda: Server) -> str:
    return str(panda.control_port)
