"""Loading a design if the previous settings cannot be restored either."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from panda_ioc import designfile
from panda_ioc.calls import SerialExecutor
from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import Append, GetLine, Put, SetState
from panda_ioc.simulator import Server, load
from panda_ioc.simulator.codecs import Unsigned


@asynccontextmanager
async def until_a_put(panda: Server, answer: bytes | None) -> AsyncIterator[int]:
    """A PandA behind a port that forwards everything except assignments; it replies itself, or disconnects (None)."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", panda.control_port)

        async def answers() -> None:
            while data := await there.read(65536):
                writer.write(data)

        answering = asyncio.create_task(answers())
        async for line in reader:
            if b"=" not in line or line.startswith(b"*"):
                back.write(line)
            elif answer is None:
                break
            else:
                writer.write(answer)
        answering.cancel()
        writer.close()
        back.close()

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"ERR No\n", "refused .*: PULSE1.PULSES=9: No; some previous settings could not be restored: .*: No"),
        (None, "loading .* failed: .*lost the connection.*; its settings are now unknown: "),
        (b"", "loading .* failed: .* did not answer.*; its settings are now unknown: "),
    ],
)
async def test_what_was_before_cannot_be_brought_back(
    panda: Server, tmp_path: Path, answer: bytes | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(designfile, "TIMEOUT", 1.0)
    path = tmp_path / "x.design"
    path.write_text("PULSE1.PULSES=9\n")
    async with until_a_put(panda, answer) as port, AsyncioClient("127.0.0.1", port) as client:
        with pytest.raises(designfile.DesignError, match=said):
            await designfile.load(client, path, SerialExecutor())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("PULSE1.PULSES=9\nnonsense\n", "x.design: line 2: 'nonsense' is neither NAME=value"),
        ("PULSE1.PULSES=9\nPGEN1.TABLE<\n", "x.design: line 2: the data of 'PGEN1.TABLE<' does not end"),
        ("PULSE1.PULSES=9\n\nPGEN1.TABLE<\n1\n", "x.design: line 3: the data of 'PGEN1.TABLE<' does not end"),
        ("PULSE1.PULSES=9\nPGEN1.TABLE<\n1", "x.design: line 2: the data of 'PGEN1.TABLE<' does not end"),
        ("", "x.design: no settings in the file"),
        ("# PULSE1.PULSES=9\n\n", "x.design: no settings in the file"),
    ],
)
async def test_what_is_no_whole_design_is_not_sent(panda: Server, tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "x.design"
    path.write_text(content)
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        await client.send(SetState(["PGEN1.TABLE<", "1", "2", ""]))
        with pytest.raises(designfile.DesignError, match=said):
            await designfile.load(client, path, SerialExecutor())
    assert panda.panda.fields["PULSE1.PULSES"].read() == "0"
    assert panda.panda.fields["PGEN1.TABLE"].read() == ["1", "2"]


async def test_an_endless_file_is_not_read_to_its_end(panda: Server) -> None:
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        with pytest.raises(designfile.DesignError, match="/dev/zero: larger than 100 MB"):
            await designfile.load(client, Path("/dev/zero"), SerialExecutor())


async def test_an_empty_table_is_whole(panda: Server, tmp_path: Path) -> None:
    path = tmp_path / "x.design"
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        await designfile.save(client, path, SerialExecutor())
        assert "\nPGEN1.TABLE<B\n\n" in path.read_text()
        await designfile.load(client, path, SerialExecutor())


#: A delay that reads 100 s and is a tick longer, a width with more digits than the PandA reports, an exact one.
TICKS = {"PULSE1.DELAY": 12500000001, "PULSE2.WIDTH": 2**46 + 1, "PULSE3.DELAY": 125}


def set_exactly(panda: Server) -> None:
    for name, ticks in TICKS.items():
        panda.panda.fields[name].attributes["RAW"].write(str(ticks))  # type: ignore[misc]
    panda.panda.fields["PULSE2.WIDTH"].attributes["UNITS"].write("min")  # type: ignore[misc]
    for name in ("INENC1.VAL", "INENC2.VAL"):
        scaling = panda.panda.fields[name].scaling
        scaling.scale, scaling.offset = 1 / 3, 1e6 / 7


def ticks(panda: Server) -> dict[str, int]:
    return {name: panda.panda.fields[name].raw for name in TICKS}


def scalings(panda: Server, name: str) -> tuple[float, float]:
    scaling = panda.panda.fields[name].scaling
    return scaling.scale, scaling.offset


async def refused(client: AsyncioClient, path: Path, *lines: str) -> str:
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(designfile.DesignError) as caught:
        await designfile.load(client, path, SerialExecutor())
    return str(caught.value)


async def test_a_refused_design_leaves_all_exactly_as_it_was(panda: Server, tmp_path: Path) -> None:
    set_exactly(panda)
    lines = ["PULSE1.DELAY=1", "PULSE2.WIDTH.UNITS=s", "PULSE2.WIDTH=1", "PULSE3.DELAY=2"]
    lines += ["INENC1.VAL.SCALE=2", "INENC1.VAL.OFFSET=3", "NOPE.X=1"]
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        said = await refused(client, tmp_path / "x.design", *lines)
    assert "NOPE.X=1: No such block; the previous settings are restored" in said
    assert ticks(panda) == TICKS
    assert scalings(panda, "INENC1.VAL") == (1 / 3, 1e6 / 7)


async def test_what_cannot_be_brought_back_exactly_is_said(panda: Server, tmp_path: Path) -> None:
    set_exactly(panda)
    lines = ["INENC1.VAL.SCALE=2", "COUNTER1.OUT.SCALE=nonsense", "PULSE1.DELAY=1"]
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        said = await refused(client, tmp_path / "x.design", *lines)
    assert "rounded to 10 digits: INENC1.VAL.SCALE" in said
    assert "COUNTER1.OUT.SCALE=nonsense: Number missing" in said
    assert ticks(panda) == TICKS
    assert scalings(panda, "INENC1.VAL") == (0.3333333333, 1e6 / 7)
    assert scalings(panda, "INENC2.VAL") == (1 / 3, 1e6 / 7)


async def test_what_is_not_as_before_is_said(panda: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test checks all final settings."""
    monkeypatch.setattr(panda.panda.fields["PULSE1.PULSES"], "codec", Stubborn())
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        said = await refused(client, tmp_path / "x.design", "PULSE1.PULSES=5", "NOPE.X=1")
    assert "some previous settings could not be restored: PULSE1.PULSES is 7, was 0" in said


class Stubborn(Unsigned):
    """A number that is 7 after the first write."""

    def parse(self, text: str) -> int:
        return 7


async def test_a_design_is_exact_in_another_panda(panda: Server, tmp_path: Path) -> None:
    set_exactly(panda)
    path = tmp_path / "x.design"
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        said = await designfile.save(client, path, SerialExecutor())
    assert "INENC1.VAL.SCALE" in said
    assert "INENC2.VAL.OFFSET" in said
    assert "COUNTER1" not in said
    saved = path.read_text().splitlines()
    assert "PULSE1.DELAY.RAW=12500000001" in saved
    assert "PULSE3.DELAY=1e-06" in saved  # readable and exact
    async with Server(load(), control_port=0, data_port=0) as other:
        async with AsyncioClient("127.0.0.1", other.control_port) as client:
            await designfile.load(client, path, SerialExecutor())
        assert ticks(other) == TICKS
        assert other.panda.fields["PULSE2.WIDTH"].attributes["UNITS"].read() == "min"


async def test_what_is_set_already_is_not_rounded(panda: Server, tmp_path: Path) -> None:
    set_exactly(panda)
    path = tmp_path / "x.design"
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        await designfile.save(client, path, SerialExecutor())
        await designfile.load(client, path, SerialExecutor())
    assert scalings(panda, "INENC1.VAL") == (1 / 3, 1e6 / 7)
    assert ticks(panda) == TICKS


async def test_texts_that_the_panda_cuts(panda: Server, tmp_path: Path) -> None:
    """Such a text is saved if it can be queried; otherwise it stays unchanged, and the result names it."""
    path = tmp_path / "x.design"
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        await client.send(Put("*METADATA.LABEL_PULSE1", "a" * 240))
        await client.send(Put("*METADATA.LABEL_PULSE2", "b" * 300))
        said = await designfile.save(client, path, SerialExecutor())
        saved = path.read_text().splitlines()
        assert "*METADATA.LABEL_PULSE1=" + "a" * 240 in saved
        assert not any(line.startswith("*METADATA.LABEL_PULSE2") for line in saved)
        assert "left out: *METADATA.LABEL_PULSE2 (Result too long)" in said
        await refused(client, path, "NOPE.X=1")
        assert await client.send(GetLine("*METADATA.LABEL_PULSE1")) == "a" * 240
    assert panda.panda.metadata["LABEL_PULSE2"].read() == "b" * 300


async def test_a_table_that_streams_is_left_alone(panda: Server, tmp_path: Path) -> None:
    path = tmp_path / "x.design"
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        await client.send(Append("SEQ1.TABLE", [1, 2, 3, 4]))
        said = await designfile.save(client, path, SerialExecutor())
        assert "SEQ1.TABLE (it is streaming)" in said
        assert "SEQ1.TABLE<" not in path.read_text()
        await refused(client, path, "NOPE.X=1")
        assert await client.send(GetLine("SEQ1.TABLE.MODE")) == "STREAMING"


#: Names of other firmware: a block, an instance, a field, an attribute, a key, an entry of each bus, a label.
UNKNOWN = {
    "NOPE.X=1": "No such block",
    "NOPE.TABLE<": "No such block",
    "TTLOUT11.VAL=ZERO": "Invalid block number",
    "PULSE1.NOPE=1": "No such field",
    "TTLOUT1.VAL.FINE_DELAY=1": "No such attribute",
    "*METADATA.NOPE=1": "Metadata key NOPE not found",
    "TTLOUT1.VAL=FMC_IN.VAL1": "Invalid bit bus selection",
    "CALC1.INPA=FMC_ADC1.OUT": "Invalid position selection",
    "SYSTEM.CLOCK_SOURCE=moon": "Invalid enumeration value",
}


def other_firmware(*more: str) -> list[str]:
    lines = ["PULSE1.PULSES=9", *UNKNOWN, "PULSE2.PULSES=8", *more]
    return [part for line in lines for part in ([line, "1", ""] if line.endswith("<") else [line])]


async def test_a_design_of_other_firmware_is_refused_with_all_reasons(panda: Server, tmp_path: Path) -> None:
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        said = await refused(client, tmp_path / "x.design", *other_firmware())
    assert all(f"{line}: {reason}" in said for line, reason in UNKNOWN.items())
    assert panda.panda.fields["PULSE1.PULSES"].read() == "0"


async def test_what_a_panda_does_not_have_can_be_left_out(panda: Server, tmp_path: Path) -> None:
    path = tmp_path / "x.design"
    path.write_text("".join(f"{line}\n" for line in other_firmware()))
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        left_out = await designfile.load(client, path, SerialExecutor(), skip_unknown=True)
        assert left_out == [f"{line}: {reason}" for line, reason in UNKNOWN.items()]
        assert [panda.panda.fields[f"PULSE{number}.PULSES"].read() for number in (1, 2)] == ["9", "8"]
        path.write_text("PULSE1.PULSES=7\n")
        assert await designfile.load(client, path, SerialExecutor(), skip_unknown=True) == []


@pytest.mark.parametrize("lines", [other_firmware("PULSE3.PULSES=x"), other_firmware("PGEN1.TABLE<B", "AAA=", "")])
async def test_what_is_wrong_is_not_left_out(panda: Server, tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "x.design"
    path.write_text("".join(f"{line}\n" for line in lines))
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        with pytest.raises(
            designfile.DesignError, match="NOPE.X=1: No such block.*; the previous settings are restored"
        ):
            await designfile.load(client, path, SerialExecutor(), skip_unknown=True)
    assert panda.panda.fields["PULSE1.PULSES"].read() == "0"


async def test_a_design_of_which_nothing_is_known_is_refused(panda: Server, tmp_path: Path) -> None:
    path = tmp_path / "x.design"
    path.write_text("NOPE.X=1\nNOPE.Y=2\n")
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        with pytest.raises(
            designfile.DesignError, match="nothing was set: the PandA does not have any of it: NOPE.X=1: No such"
        ):
            await designfile.load(client, path, SerialExecutor(), skip_unknown=True)
