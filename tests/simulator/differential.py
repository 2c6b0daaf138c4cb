"""Random commands to a server and to the simulator, whose replies are compared.

    python -m tests.simulator.differential HOST[:PORT] [--commands 100000] [--seed 1]

needs a server that was just switched on, and changes all its settings. A device file (--device, as
`panda-ioc simulator --from HOST` makes one) says what it has; otherwise it must have the blocks of the bundled one.
What only blocks that run can say is not compared.
"""

import argparse
import asyncio
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from panda_ioc.protocol import ChangeGroup
from panda_ioc.simulator import PANDABOX, Panda, load
from panda_ioc.simulator.capture import Capture
from panda_ioc.simulator.fields import Field
from panda_ioc.simulator.session import Session
from panda_ioc.simulator.spec import DeviceSpec
from panda_ioc.simulator.system import Context

#: Commands that are sent at once.
_BATCH = 200

#: Seconds that a server may take for a reply.
_PATIENCE = 20

#: Differences that are shown.
_SHOWN = 50

_NUMBERS = (
    *("0", "1", "2", "-1", "7", "31", "32", "010", "08", "0x10", "0X1f", "+3", " 4", "5 ", "4294967295", "4294967296"),
    *("-4294967295", "-2147483648", "2147483648", "18446744073709551615", "18446744073709551616", "", "x", "1x", "1.5"),
)
_FLOATS = (*_NUMBERS, "1e-6", "0.25", "-3.75", "1e3", "1e", ".5", "5.", "inf", "-inf", "1e999", "0x1p3", "100")
_TEXTS = ("", "mm", "µm", 'a "b" <c>', "x" * 100, "x" * 250, "x" * 300, "a=b?", " lead", "trail ")
_OPTIONS = ("Value", "Diff", "Sum", "Min", "Max", "Mean", "No", "value", "x", "")


def function(chance: random.Random, depth: int = 4) -> str:
    """Return a function of a LUT, possibly an invalid one."""
    if not depth or chance.random() < 0.2:
        return chance.choice(["A", "B", "C", "D", "E", "0", "1", "A", "B", "C", "D", "E", "12", "0x5", ""])
    part = function(chance, depth - 1)
    kind = chance.choice(["~", "()", "?:", "=", "=>", "&", "|", "^"])
    if kind == "~":
        return f"~{part}"
    if kind == "()":
        return f"({part})"
    if kind == "?:":
        return f"{part}?{function(chance, depth - 1)}:{function(chance, depth - 1)}"
    return f"{part}{chance.choice(['', ' '])}{kind}{function(chance, depth - 1)}"


def value_of(field: Field, chance: random.Random) -> str:
    """Return a value for a field, possibly an invalid one."""
    kind = field.spec.subtype or field.spec.kind
    if kind == "lut":
        return function(chance)
    if field.labels and chance.random() < 0.8:
        return chance.choice(field.labels)
    if kind in {"time", "scalar"}:
        return chance.choice(_FLOATS)
    if kind == "action" and chance.random() < 0.8:
        return ""
    return chance.choice(_NUMBERS)


#: Values for attributes.
_ATTRIBUTES: dict[str, Callable[[random.Random], str]] = {
    "SCALE": lambda chance: chance.choice(_FLOATS),
    "OFFSET": lambda chance: chance.choice(_FLOATS),
    "UNITS": lambda chance: chance.choice(["s", "ms", "us", "min", "h", *_TEXTS]),
    "DELAY": lambda chance: chance.choice(_NUMBERS),
    "RAW": lambda chance: chance.choice(_NUMBERS),
    "CAPTURE": lambda chance: " ".join(chance.sample(_OPTIONS, chance.randrange(4))),
}


def commands(panda: Panda, chance: random.Random) -> Iterator[list[str]]:
    """Yield commands without end, each as its lines."""
    kinds: dict[str, list[Field]] = {}
    for field in panda.fields.values():
        kinds.setdefault(field.spec.type, []).append(field)
    of_kind = list(kinds.values())
    systems = ["*CAPTURE?", "*CHANGES.CONFIG?", "*CHANGES.ATTR?", "*CHANGES.METADATA?", "*METADATA.*?", "*BITS?"]
    while True:
        field = chance.choice(chance.choice(of_kind))  # all types with the same probability
        attribute = chance.choice(["", *field.attributes, "NOPE"])
        name = f"{field.name}.{attribute}" if attribute else field.name
        block = field.name.partition(".")[0]
        kind = chance.random()
        if field.spec.type == "table" and kind < 0.5:
            words = chance.choice([1, 4, 8]) * field.spec.row_words + chance.choice([0, 0, 0, 1])
            yield [f"{name}<", *(chance.choice(_NUMBERS[:16]).strip() for _ in range(words)), ""]
        elif kind < 0.45:
            make = _ATTRIBUTES.get(attribute)
            yield [f"{name}={make(chance) if make else value_of(field, chance)}"]
        elif kind < 0.9:
            yield [f"{name}?"]
        elif kind < 0.92:
            yield [f"*METADATA.LABEL_{block if block[-1].isdigit() else block + '1'}={chance.choice(_TEXTS)}"]
        else:
            part = chance.choice([f"*ENUMS.{name}?", f"{block}.*?", f"{name}.*?", *systems])
            yield [part]


def comparable(panda: Panda, command: Sequence[str], reply: Sequence[str]) -> object:
    """Return the comparable part of a reply: without values of blocks, and in a fixed order."""
    field = panda.fields.get(".".join(command[0].rstrip("?").split(".")[:2]))
    told_by_blocks = field is not None and field.group in {ChangeGroup.READ, ChangeGroup.BITS, ChangeGroup.POSN}
    if told_by_blocks and command[0].endswith((".RAW?", ".SCALED?", f"{field.name if field else ''}?")):
        return reply[0].partition("=")[0]
    if command[0].endswith(".QUEUED_LINES?"):
        return reply[0].partition("=")[0]
    return sorted(line for line in reply if "QUEUED_LINES" not in line)


async def compare(host: str, port: int, spec: DeviceSpec, count: int, seed: int) -> list[str]:
    """Send commands to both servers; return the differences."""
    panda = Panda(spec)
    session = Session(Context(panda, Capture(panda)))
    chosen = commands(panda, random.Random(seed))
    different: list[str] = []
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 24)
    try:
        for _ in range(-(-count // _BATCH)):
            batch = [next(chosen) for _ in range(_BATCH)]
            data = ["".join(f"{line}\n" for line in command).encode() for command in batch]
            writer.write(b"".join(data))
            for command, said in zip(batch, data, strict=True):
                theirs = await asyncio.wait_for(_reply(reader), _PATIENCE)
                ours = b"".join(session.receive(said)).decode(errors="replace").splitlines()
                if comparable(panda, command, theirs) != comparable(panda, command, ours):
                    different.append(f"{command}: server {theirs[:5]}, simulator {ours[:5]}")
    finally:
        writer.close()
    return different


async def _reply(reader: asyncio.StreamReader) -> list[str]:
    lines: list[str] = []
    while not lines or lines[-1].startswith("!"):
        line = await reader.readuntil(b"\n")
        lines.append(line.decode(errors="replace").rstrip("\n"))
    return lines


def main() -> None:
    """Compare two servers; exit with an error if there is a difference."""
    parser = argparse.ArgumentParser(description="Compare the replies of a server with those of the simulator.")
    parser.add_argument("server", help="HOST[:PORT] of the control port")
    parser.add_argument("--device", type=Path, default=PANDABOX, help="device file of what the server has")
    parser.add_argument("--commands", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    host, _, port = arguments.server.partition(":")
    spec = load(arguments.device)
    different = asyncio.run(compare(host, int(port or 8888), spec, arguments.commands, arguments.seed))
    lines = [*different[:_SHOWN], f"{len(different)} of {arguments.commands} commands got another reply"]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
