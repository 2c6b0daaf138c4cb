"""Record fields: clients may put to those for operators, and to none that would disable a record for all clients."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from aioca import caget, caput

from panda_ioc.ioc.servers.access import checker, rules
from panda_ioc.simulator import Server

from .process import Ioc, running_ioc

BREAKING = {"DISA": 1, "DISV": 0, "SCAN": 5, "SDIS": "X", "SIMM": 1, "SIML": "X", "ASG": "X", "TSE": 0, "OUT": "@X"}
NEEDED = {"DESC": "a text", "HIHI": 9, "HHSV": 1, "MDEL": 3, "EGU": "mm", "DISP": 1}


@pytest.mark.parametrize("field", BREAKING)
async def test_a_field_that_breaks_a_record(ioc: Ioc, server: Server, field: str) -> None:
    pv = ioc.pv("PULSE1:PULSES")
    before = await caget(f"{pv}.{field}")
    with pytest.raises(Exception, match="Write access denied"):
        await caput(f"{pv}.{field}", BREAKING[field], wait=True, timeout=5)
    assert await caget(f"{pv}.{field}") == before
    wanted = 10 + len(field)
    await caput(pv, wanted, wait=True, timeout=5)
    assert server.panda.fields["PULSE1.PULSES"].raw == wanted


@pytest.mark.parametrize("field", NEEDED)
async def test_a_field_that_operators_need(ioc: Ioc, field: str) -> None:
    pv = f"{ioc.pv('PULSE2:PULSES')}.{field}"
    before = await caget(pv)
    await caput(pv, NEEDED[field], wait=True, timeout=5)
    assert await caget(pv) == NEEDED[field]
    await caput(pv, before, wait=True, timeout=5)


async def test_all_fields_if_that_is_wanted(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    config = tmp_path / "ioc.yaml"
    config.write_text(yaml.safe_dump({"access": {"all_fields": True}, "prefix": "X", "panda": {"host": "x"}}))
    async with running_ioc(panda.control_port, "TEST-ALL-FIELDS", ca_ports, "--config", str(config)) as ioc:
        await caput(f"{ioc.pv('PULSE1:PULSES')}.TSE", 0, wait=True, timeout=5)
        with pytest.raises(Exception, match="Write access denied"):  # by which puts would be lost
            await caput(f"{ioc.pv('PULSE1:PULSES')}.DISV", 0, wait=True, timeout=5)


@pytest.mark.parametrize("all_fields", [False, True])
def test_values_can_be_put_over_pv_access_too(all_fields: bool, tmp_path: Path) -> None:
    text = rules(None, read_only=False, all_fields=all_fields)
    assert checker(text)("user", "host", list)
    own = tmp_path / "own.acf"
    own.write_text(f"# my own\n{text}")
    assert checker(rules(own, read_only=False))("user", "host", list)
