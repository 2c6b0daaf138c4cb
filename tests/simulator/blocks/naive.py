"""Blocks as they would be written to be called in every tick: slow, short, and made from the rules alone.

Each takes the inputs of all ticks and gives the outputs of all ticks, to be compared with the real block. `held`
makes the inputs of all ticks from rows, `compare` does the rest.
"""

from collections.abc import Callable, Iterator, Mapping

from panda_ioc.simulator.blocks import Block, drive
from panda_ioc.simulator.blocks.drive import Rows
from panda_ioc.simulator.motion import at

Row = Mapping[str, int]
#: For each tick all values, and the names that its row sets.
Held = Iterator[tuple[int, dict[str, int], Row]]
Outputs = list[dict[str, int]]


def held(rows: Rows, names: list[str], until: int) -> Held:
    values = dict.fromkeys(names, 0)
    for tick in range(until + 1):
        row = {name: at(value, tick) for name, value in rows.get(tick, {}).items()}
        values.update(row)
        yield tick, dict(values), row


def levels(changes: Mapping[int, Row], names: list[str], until: int) -> Outputs:
    values = dict.fromkeys(names, 0)
    every = []
    for tick in range(until + 1):
        values.update({name: value for name, value in changes.get(tick, {}).items() if name in names})
        every.append(dict(values))
    return every


def compare(block: Block, rows: Rows, naive: Callable[[Held], Outputs], *, beyond: int = 40) -> None:
    """The block, called as rarely as possible, does in every tick what the naive one does."""
    until = max(rows, default=0) + beyond
    names = [name for name in block.ports if name not in block.outputs()]
    expected = naive(held(rows, names, until))
    found = levels(drive(block, rows, until=until), list(expected[0]), until)
    for tick, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one == other, f"in tick {tick}"


def clock(ticks: Held) -> Outputs:
    out, phase, was_enabled, restart, stop = 0, 0, 0, False, True
    period = high = new_period = new_high = 1
    every = []
    for _, v, row in ticks:
        if restart:
            stop, phase = not was_enabled, 0
            period, high = new_period, new_high
        out = int(not stop and phase < high)
        phase = (phase + 1) % period
        every.append({"OUT": out})
        restart = bool({"PERIOD", "WIDTH"} & set(row)) or v["ENABLE"] != was_enabled
        p, w = v["PERIOD"], v["WIDTH"]
        new_period = w + 1 if p <= w else 2 if p == 1 else p
        new_high = w or new_period // 2
        was_enabled = v["ENABLE"]
        if not p and not w:
            new_high = 0
    return every


def pulse(ticks: Held) -> Outputs:
    """Keeps a list of all edges to come."""
    enabled = trig = last = dropped = queued = out = 0
    edges: dict[int, int] = {}
    queue: dict[int, int] = {}
    every = []
    for now, v, row in ticks:
        written = {"DELAY", "WIDTH", "PULSES", "STEP", "TRIG_EDGE"} & set(row)
        on = v["ENABLE"] and not written
        edge, trig = v["TRIG"] != trig, v["TRIG"]
        width = max(v["WIDTH"], 5) if v["WIDTH"] else 0
        delay = max(v["DELAY"], 5) if v["DELAY"] else 0
        step = v["STEP"] if v["STEP"] > width else width + 1
        pulses = v["PULSES"] or 1
        if not on or not enabled:
            dropped = 0 if on else dropped
            edges, queue, out, queued, last = {}, {}, 0, 0, -(10**9)
        elif edge and not width:
            edges[now + delay] = trig
            if delay:
                queue[now + 1] = queue.get(now + 1, 0) + 1
                queue[now + delay] = queue.get(now + delay, 0) - 1
        elif edge and (v["TRIG_EDGE"] == 2 or v["TRIG_EDGE"] == 1 - trig):
            length = (pulses - 1) * step + width
            if now - last < length + 1:
                dropped += 1
            else:
                last = now
                for number in range(pulses):
                    edges[now + delay + number * step] = 1
                    edges[now + delay + number * step + width] = 0
                queue[now + 1] = queue.get(now + 1, 0) + 1
                queue[now + delay + length] = queue.get(now + delay + length, 0) - 1
        enabled = on
        out = edges.pop(now, out)
        queued += queue.pop(now, 0)
        every.append({"OUT": out, "QUEUED": queued, "DROPPED": dropped})
    return every


def posenc(ticks: Held) -> Outputs:
    """A prescaler that counts, and a comparison that lags a tick."""
    track = direction = phase = prescaler = b = 0
    enabled = allow = False
    every = []
    for _, v, row in ticks:
        period = max(v["PERIOD"], 1 + v["PROTOCOL"])
        stepped = False
        before = track
        if not v["ENABLE"]:
            state, phase, track, direction = 0, 0, 0, 0
        else:
            if not enabled:
                track = v["INP"]
            elif allow and direction:
                track += direction
                phase = (phase + direction) % 4
                stepped = True
            direction = (v["INP"] > track) - (v["INP"] < track)
            state = 2 if direction else 1
        if v["PROTOCOL"]:
            a = int(stepped)
            b = int((before if not enabled else track) >= v["INP"]) if v["ENABLE"] else 0
        else:
            a, b = ((0, 0), (1, 0), (1, 1), (0, 1))[phase]
        enabled = bool(v["ENABLE"])
        if "PERIOD" in row:
            prescaler, allow = 0, False
        else:
            prescaler += 1
            allow = prescaler >= period
            if allow:
                prescaler = 0
        every.append({"A": a, "B": b, "STATE": state})
    return every


#: Repeats, trigger, position, times, outputs.
SeqRow = tuple[int, int, int, tuple[int, int], tuple[int, int]]


class _Seq:
    """A SEQ with a fixed table that is loaded."""

    def __init__(self, table: list[SeqRow]) -> None:
        self.table = table
        self.state = self.active = self.outs = self.enable = self.left = 0
        self.repeat = self.line = self.line_repeat = 0

    def met(self, v: Row) -> bool:
        _, trigger, position, _, _ = self.table[self.line - 1]
        if trigger == 0:
            return True
        if trigger <= 6:
            return v["BIT" + "ABC"[(trigger - 1) // 2]] == (trigger - 1) % 2
        inp = v["POS" + "ABC"[(trigger - 7) // 2]]
        return inp >= position if trigger % 2 else inp <= position

    def start_phase(self, v: Row, phase: int) -> None:
        *_, times, outputs = self.table[self.line - 1]
        phase = phase if times[0] else 1
        self.state, self.outs = 3 + phase, outputs[phase]
        self.left = max(times[phase], phase) * (v["PRESCALE"] or 1)

    def start_pass(self, v: Row, repeat: int, line: int, line_repeat: int) -> None:
        self.repeat, self.line, self.line_repeat = repeat, line, line_repeat
        if self.met(v):
            self.start_phase(v, 0)
        else:
            self.state = 2

    def end_pass(self, v: Row) -> None:
        if self.line_repeat != self.table[self.line - 1][0]:
            self.start_pass(v, self.repeat, self.line, self.line_repeat + 1)
        elif self.line < len(self.table):
            self.start_pass(v, self.repeat, self.line + 1, 1)
        elif self.repeat == v["REPEATS"]:
            self.state, self.active, self.outs = 1, 0, 0
        else:
            self.start_pass(v, self.repeat + 1, 1, 1)

    def tick(self, v: Row) -> None:
        rose, self.enable = v["ENABLE"] and not self.enable, v["ENABLE"]
        self.left -= self.state >= 3
        if self.state >= 2 and not self.enable:
            self.state, self.active, self.outs = 1, 0, 0
        elif self.state == 1 and rose:
            self.active = 1
            self.start_pass(v, 1, 1, 1)
        elif self.state == 2 and self.met(v):
            self.start_phase(v, 0)
        elif self.state == 3 and self.left == 0:
            self.start_phase(v, 1)
        elif self.state == 4 and self.left == 0:
            self.end_pass(v)


def seq(table: list[SeqRow], *, loaded: int) -> Callable[[Held], Outputs]:
    """A SEQ with a fixed table that is in from a tick on."""

    def run(ticks: Held) -> Outputs:
        one = _Seq(table)
        every = []
        for now, v, _ in ticks:
            one.tick(v)
            one.state = 1 if now == loaded else one.state
            every.append({
                "ACTIVE": one.active, "STATE": one.state, "TABLE_REPEAT": one.repeat, "TABLE_LINE": one.line,
                "LINE_REPEAT": one.line_repeat,
                **{f"OUT{name}": one.outs >> place & 1 for place, name in enumerate("ABCDEF")},
            })  # fmt: skip
        return every

    return run
