"""Device files: error messages give the line."""

from pathlib import Path

import pytest

from panda_ioc.simulator import Panda, load
from panda_ioc.yamlfile import YamlFileError

from ..peers import Peers

GOOD = """\
name: small
blocks:
  ADC10:
    count: 2
    fields:
      OUT: {type: pos_out}
      HEALTH: {type: read enum, labels: [OK, Broken]}
  ADC:
    count: 1
    fields:
      OUT: {type: pos_out}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "device.yaml"
    path.write_text(text)
    return path


def test_the_pandabox() -> None:
    panda = Panda(load())
    assert len(panda.buses.bits) == 105
    assert panda.buses.bits[32] == "PCAP.ACTIVE"
    assert panda.buses.positions[:5] == ["INENC1.VAL", "INENC2.VAL", "INENC3.VAL", "INENC4.VAL", "CALC1.OUT"]


def test_block_names_that_end_in_digits(tmp_path: Path) -> None:
    peers = Peers(load(written(tmp_path, GOOD)))
    assert peers.say("ADC102.OUT?", "ADC.OUT?", "ADC1.OUT?", "ADC103.OUT?") == [
        *("OK =0", "OK =0", "OK =0"),
        "ERR Invalid block number",
    ]
    assert peers.say("ADC10.*?") == ["!OUT 0 pos_out", "!HEALTH 1 read enum", "."]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "this key is required"),
        ("name: }", 1, "expected"),
        ("name: x\nblocks: 3\n", 2, "blocks"),
        (GOOD.replace("count: 2", "count: many"), 4, "blocks.ADC10.count"),
        (GOOD.replace("count: 2", "count: 0"), 4, "count: must be a whole number >= 1"),
        (GOOD.replace("pos_out}\n      H", "pos_in}\n      H"), 6, "unknown type 'pos_in'"),
        (GOOD.replace(", labels: [OK, Broken]", ""), 7, "an enum needs labels"),
        (GOOD.replace("HEALTH: {", "HEALTH: {colour: red, "), 7, "colour"),
        (GOOD.replace("[OK, Broken]", "[OK, No]"), 7, "labels.1"),
        (GOOD.replace("OUT: {type: pos_out}", "OUT: {type: table}", 1), 6, "needs columns"),
    ],
)
def test_invalid_files(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(YamlFileError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ") or (f"\n{path}:{line}: " in message)
    assert says in message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(YamlFileError, match="No such file"):
        load(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xb5")
    with pytest.raises(YamlFileError, match="not valid UTF-8"):
        load(tmp_path / "latin.yaml")
