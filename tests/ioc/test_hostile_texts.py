"""Texts that are special to EPICS or to a shell, or too long, pass through an IOC unchanged."""

import asyncio

import pytest
from aioca import DBR_CHAR_STR, FORMAT_CTRL, caget, caput
from p4p.client.asyncio import RemoteError

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.plan.record import short_labels, shorten
from panda_ioc.protocol import GetLine, Put
from panda_ioc.simulator import DeviceSpec, Server
from panda_ioc.validation import validated

from .process import Ioc, becomes, is_refused

#: The last ones have about the maximum length in the PandA protocol.
TEXTS = [
    *("$(X)", "${X=Y}$(", "$(X=$(X))", 'a "word"', '"', "back\\slash\\", "\\n\\x41", "'; exit; echo '", "%s%n{0}"),
    *("# no comment", "  blanks  ", "µm/°C", "漢字" * 20, "\t\x1b[31m", "x" * 230, "x" * 229 + "é"),
]


@pytest.fixture(scope="module")
def device() -> DeviceSpec:
    fields = {
        "CHOICE": {"type": "param enum", "labels": TEXTS},
        "STATE": {"type": "read enum", "labels": TEXTS},
        "POS": {"type": "pos_out"},
        **{
            f"NUMBER{index}": {"type": "param scalar", "units": text, "description": text, "value": "1"}
            for index, text in enumerate(TEXTS)
        },
    }
    block = {"count": 1, "description": TEXTS[0], "fields": fields}
    return validated({"name": "hostile", "blocks": {"ODD": block}}, DeviceSpec)


async def whole(ioc: Ioc, name: str) -> str:
    """Check that both protocols return the same long text."""
    async with asyncio.timeout(5):
        while True:  # one reading may be before a change, the other after it
            over_ca = str(await caget(ioc.pv(name), datatype=DBR_CHAR_STR))
            if await ioc.pva_get(name) == over_ca:
                return over_ca


@pytest.mark.parametrize("index", range(len(TEXTS)))
async def test_units_and_description(ioc: Ioc, index: int) -> None:
    text, name = TEXTS[index], f"ODD:NUMBER{index}"
    assert await caget(ioc.pv(name)) == 1
    over_pva = (await ioc.pva_get(name)).raw.display
    units = shorten(text, 15)
    assert (await caget(ioc.pv(f"{name}.EGU")), over_pva.units) == (units, text)
    if len(text.encode()) > len(units.encode()):
        assert await whole(ioc, f"{name}:UNITS") == text
    text = text.strip()  # as is every description
    description = shorten(text, 39)
    assert (await caget(ioc.pv(f"{name}.DESC")), over_pva.description) == (description, text)
    if len(text.encode()) > len(description.encode()):
        assert await whole(ioc, f"{name}:DESCRIPTION") == text


async def test_choices_and_what_they_are_in_full(ioc: Ioc) -> None:
    over_ca = await caget(ioc.pv("ODD:CHOICE"), format=FORMAT_CTRL)
    assert list(over_ca.enums) == list(short_labels(tuple(TEXTS)))
    assert list((await ioc.pva_get("ODD:CHOICE")).raw.value.choices) == TEXTS
    assert await whole(ioc, "ODD:CHOICE:CHOICES") == "\n".join(TEXTS)


@pytest.mark.parametrize("index", range(len(TEXTS)))
async def test_each_choice_can_be_put_by_number_and_as_text(ioc: Ioc, other: AsyncioClient, index: int) -> None:
    other_index = (index + 1) % len(TEXTS)
    await caput(ioc.pv("ODD:CHOICE"), other_index, wait=True, timeout=5)
    assert await other.send(GetLine("ODD.CHOICE")) == TEXTS[other_index]
    await caput(ioc.pv("ODD:CHOICE:TEXT"), TEXTS[index], datatype=DBR_CHAR_STR, wait=True, timeout=5)
    assert await other.send(GetLine("ODD.CHOICE")) == TEXTS[index]
    assert await caget(ioc.pv("ODD:CHOICE")) == index == await ioc.pva_get("ODD:CHOICE")
    await ioc.pva_put("ODD:CHOICE:TEXT", TEXTS[other_index])
    assert await other.send(GetLine("ODD.CHOICE")) == TEXTS[other_index]


@pytest.mark.parametrize("text", TEXTS)
async def test_what_the_panda_says_later(ioc: Ioc, server: Server, other: AsyncioClient, text: str) -> None:
    server.panda.set_raw("ODD.STATE", TEXTS.index(text))
    await becomes(ioc.pv("ODD:STATE"), shorten(text, 39))
    await becomes(ioc.pv("ODD:STATE:TEXT"), text, datatype=DBR_CHAR_STR)
    assert await whole(ioc, "ODD:STATE:TEXT") == text
    await other.send(Put("ODD.POS.UNITS", text))
    await becomes(ioc.pv("ODD:POS:UNITS"), shorten(text, 39))
    await becomes(ioc.pv("ODD:POS:UNITS:TEXT"), text, datatype=DBR_CHAR_STR)
    await becomes(ioc.pv("ODD:POS:SCALED.EGU"), shorten(text, 15))
    assert await whole(ioc, "ODD:POS:UNITS:TEXT") == text


@pytest.mark.parametrize("text", [*TEXTS, "x" * 300])
async def test_a_label_that_is_put(ioc: Ioc, other: AsyncioClient, text: str) -> None:
    if len(text) > 250:  # a PandA would cut it, and could not give it back
        await is_refused(ioc.pv("ODD:LABEL"), text, datatype=DBR_CHAR_STR)
        assert await other.send(GetLine("*METADATA.LABEL_ODD1")) != text
        assert "the PandA keeps at most 234" in await whole(ioc, "IOC:LAST_REFUSED")
        with pytest.raises(RemoteError, match="the PandA keeps at most 234"):
            await ioc.pva_put("ODD:LABEL", text)
        return
    await caput(ioc.pv("ODD:LABEL"), text, datatype=DBR_CHAR_STR, wait=True, timeout=5)
    shown = "" if text == TEXTS[0] else text  # the description of the block is what stands there without a label
    assert await other.send(GetLine("*METADATA.LABEL_ODD1")) == shown
    assert await whole(ioc, "ODD:LABEL") == text
    await ioc.pva_put("ODD:LABEL", "")
    await ioc.pva_put("ODD:LABEL", text)
    assert await other.send(GetLine("*METADATA.LABEL_ODD1")) == shown
