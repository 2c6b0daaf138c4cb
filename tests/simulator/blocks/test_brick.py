"""Blocks of a PandABrick and of PandABox2, on their own and in a device."""

from pathlib import Path

import pytest

from panda_ioc.simulator import Simulation, load
from panda_ioc.simulator.blocks import Block
from panda_ioc.simulator.blocks.brick import Absenc, DioIn, DioOut, Incenc, Pmacenc

from .sequences import play

#: A short description of a PandABrick.
BRICK = """
name: brick
blocks:
  INCENC:
    count: 2
    fields:
      PROTOCOL: {type: param enum, labels: [Quadrature, Step/Direction]}
      BITS: {type: param uint, max: 63}
      LSB_DISCARD: {type: param uint, max: 31}
      SETP: {type: write int}
      RST_ON_Z: {type: param bit}
      CONN: {type: bit_out}
      HOMED: {type: read bit}
      HEALTH: {type: read enum, labels: [OK, Linkup error, Timeout error]}
      VAL: {type: pos_out}
  ABSENC:
    count: 2
    fields:
      CLK: {type: bit_mux}
      PROTOCOL: {type: param enum, labels: [SSI, BISS, enDat]}
      ENABLED: {type: read bit}
      HEALTH: {type: read enum, labels: [OK, Linkup error, Timeout error, CRC error, Error bit, ENDAT not implemented]}
      CONN: {type: bit_out}
      VAL: {type: pos_out}
  PMACENC:
    count: 2
    fields:
      ENABLE: {type: bit_mux}
      PROTOCOL:
        type: param enum
        labels: [UVWT, Absolute, Step/Direction, Generate - SSI, Generate - enDat, Generate - Biss]
      HEALTH: {type: read enum, labels: [OK, Biss timeout error, ENDAT not implemented]}
      VAL: {type: pos_mux}
  EQU: {count: 2, fields: {VAL: {type: bit_out}}}
  DI: {count: 1, fields: {TERM: {type: param enum, labels: [High-Z, 50-ohm]}, VAL: {type: bit_out}}}
  DO: {count: 1, fields: {VAL: {type: bit_mux}}}
  DIO_IN: {count: 2, fields: {VAL: {type: bit_out}}}
  DIO_OUT:
    count: 2
    fields:
      VAL: {type: bit_mux}
      DIR: {type: param enum, labels: [Input, Output]}
  BITS: {count: 1, fields: {A: {type: param bit}, OUTA: {type: bit_out}}}
"""


@pytest.fixture
def brick(tmp_path: Path) -> Simulation:
    path = tmp_path / "brick.yaml"
    path.write_text(BRICK, encoding="utf-8")
    return Simulation(load(path))


def say(sim: Simulation, *lines: str) -> list[str]:
    """Return the replies to queries, after assignments that must be accepted."""
    answers = sim.say(*lines)
    assert all(answer.startswith("OK") for answer in answers), answers
    return [answer.removeprefix("OK =") for answer in answers if answer != "OK"]


def test_an_incremental_encoder(brick: Simulation) -> None:
    motor = brick.outside.motor("INCENC2")
    motor.jump(50)
    brick.advance(20)
    assert say(brick, "INCENC2.VAL?", "INCENC2.HOMED?", "INCENC2.CONN?") == ["50", "0", "1"]
    assert say(brick, "INCENC2.SETP=1000", "INCENC2.VAL?", "INCENC2.HOMED?") == ["1000", "1"]
    motor.jump(60)
    brick.advance(20)
    assert say(brick, "INCENC2.VAL?", "INCENC1.VAL?") == ["1010", "0"]
    motor.link(up=False)  # which nothing tells it
    brick.advance(20)
    assert say(brick, "INCENC2.CONN?", "INCENC2.HEALTH?", "INCENC2.HOMED?") == ["1", "OK", "1"]


def test_an_absolute_encoder_is_in_use_if_pmacenc_says_so(brick: Simulation) -> None:
    brick.outside.motor("ABSENC1").jump(-7)
    brick.advance(20)
    assert say(brick, "ABSENC1.ENABLED?", "ABSENC1.VAL?") == ["0", "0"]
    say(brick, "PMACENC1.PROTOCOL=Absolute")
    brick.advance(20)
    assert say(brick, "ABSENC1.ENABLED?", "ABSENC1.VAL?", "ABSENC2.ENABLED?") == ["1", "-7", "0"]
    say(brick, "ABSENC1.PROTOCOL=enDat")
    brick.advance(20)
    assert say(brick, "ABSENC1.HEALTH?", "ABSENC1.VAL?", "ABSENC1.CONN?") == ["ENDAT not implemented", "0", "0"]
    say(brick, "PMACENC1.PROTOCOL=Generate - Biss")  # which chooses the protocol of both
    brick.advance(20)
    assert say(brick, "ABSENC1.HEALTH?", "ABSENC1.VAL?", "ABSENC1.CONN?") == ["OK", "-7", "1"]
    brick.outside.motor("ABSENC1").link(up=False)
    brick.advance(20)
    assert say(brick, "ABSENC1.HEALTH?", "ABSENC1.VAL?", "ABSENC1.CONN?") == ["Timeout error", "-7", "0"]
    assert say(brick, "PMACENC1.PROTOCOL=Generate - enDat", "PMACENC1.HEALTH?") == ["ENDAT not implemented"]


def test_inputs_and_outputs(brick: Simulation) -> None:
    for name in ("EQU2", "DI", "DIO_IN1"):
        brick.outside.input(name).level(1)
    say(brick, "DO.VAL=BITS.OUTA", "BITS.A=1", "DIO_OUT2.VAL=BITS.OUTA")
    brick.advance(20)
    assert say(brick, "EQU1.VAL?", "EQU2.VAL?", "DI.VAL?", "DIO_IN1.VAL?") == ["0", "1", "1", "1"]
    assert brick.outside.output("DO") == 1
    assert brick.outside.output("DIO_OUT2") == 0
    assert say(brick, "DIO_IN2.VAL?") == ["0"]
    say(brick, "DIO_OUT2.DIR=Output", "DIO_OUT1.DIR=Output")
    brick.advance(20)
    assert brick.outside.output("DIO_OUT2") == 1
    assert say(brick, "DIO_IN2.VAL?", "DIO_IN1.VAL?") == ["1", "0"]  # what the PandA itself drives


@pytest.mark.parametrize(
    ("block", "rows"),
    [
        (
            Incenc,
            """
            1: BITS=8
            2: POSITION=-1 -> VAL=255 B=1          # without a sign, whatever the number of bits
            3: SETP=5 -> VAL=5 HOMED=1
            4: POSITION=0 -> VAL=6 B=0
            """,
        ),
        (
            Absenc,
            """
            1: POSITION=300 -> VAL=300
            2: BITS=8 -> VAL=44
            3: FAULT=3 -> HEALTH=3
            4: IN_USE=0 -> VAL=0 ENABLED=0
            """,
        ),
        (
            Pmacenc,
            """
            1: PROTOCOL=3 -> USES_ABSENC=1 PASSES=0
            2: PROTOCOL=5 -> GENERATES=1
            3: PROTOCOL=4 -> HEALTH=2
            4: PROTOCOL=0 -> HEALTH=0 USES_ABSENC=0 PASSES=1
            """,
        ),
        (DioOut, "1: VAL=1\n2: DIR_REG=1 -> PIN=1 DRIVES=1\n"),
        (DioIn, "1: PIN=1 -> VAL=1\n2: DRIVEN=1 -> VAL=0\n3: LEVEL=1 -> VAL=1\n"),
    ],
)
def test_rows(block: type[Block], rows: str) -> None:
    play(block, rows)
