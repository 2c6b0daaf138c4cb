"""Blocks that are called in every tick: slow, short, and written from the specification only.

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
    """Check that a block, called as rarely as possible, does in every tick what the naive one does."""
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
    """A PULSE that keeps a list of all future edges."""
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
    """A POSENC with the registers of the hardware: a prescaler, a tracker, and a delayed step."""
    track = tracking = negative = step = phase = prescaler = enabled = shown = 0
    every = []
    for _, v, row in ticks:
        inp, on, before = v["INP"], v["ENABLE"], track
        period = 2 if v["PROTOCOL"] and v["PERIOD"] == 1 else max(v["PERIOD"], 1)
        shown, old_step, old_negative = step, step, negative
        moves = prescaler == period - 1
        prescaler = 0 if moves or "PERIOD" in row else prescaler + 1
        if not on:
            track = tracking = negative = step = phase = 0
        else:
            phase = (phase + (-1 if old_negative else 1) * old_step) % 4
            tracking = int(bool(enabled) and before != inp)
            step = int(tracking and moves)
            track = inp if not enabled else before + step * (1 if before < inp else -1)
            negative = int(before >= inp)
        enabled = on
        a, b = (shown, negative) if v["PROTOCOL"] else ((0, 0), (1, 0), (1, 1), (0, 1))[phase]
        every.append({"A": a, "B": b, "STATE": (2 if tracking else 1) if on else 0})
    return every


def filter_(ticks: Held) -> Outputs:
    """A FILTER with the registers of the hardware, with a divider that computes one bit per tick."""
    divider = _Divider()
    ready = out = latch = total = count = enable = trig = 0
    errors = _Errors()
    load = negative = False
    dividend = divisor = 0
    every = []
    for _, v, _ in ticks:
        inp, rises, average = v["INP"], v["ENABLE"] > enable, v["MODE"] & 1
        quotient, now_loading = divider.quotient, load
        stopped = errors.stopped
        if average and not stopped:
            ready = int(quotient is not None)
            out = out if quotient is None else -quotient if negative else quotient
        elif not average and rises:
            latch = inp
        elif not average and v["TRIG"] > trig:
            out, ready = (out, ready) if stopped else (inp - latch, 1)
            latch = inp
        elif not average:
            ready = 0
        errors.tick(rises, load, quotient is not None, not -(2**62) <= total < 2**62)
        divider.tick(now_loading, dividend, divisor)
        if average:
            load = bool(v["TRIG"] and enable)
            if load:
                negative, dividend, divisor = total < 0, abs(total), count
            total, count = (0, 0) if rises else (total + inp, count + 1) if enable else (total, count)
        enable, trig = v["ENABLE"], v["TRIG"]
        every.append({"READY": ready, "OUT": (out + 2**31) % 2**32 - 2**31, "HEALTH": errors.health})
    return every


class _Errors:
    """HEALTH of a FILTER, and the registers before it."""

    def __init__(self) -> None:
        self.stopped = self.load = self.busy = self.error = self.overflow = False
        self.health = 0

    def tick(self, rises: bool, load: bool, finished: bool, over: bool) -> None:  # noqa: FBT001 - wires
        if rises:
            self.stopped, self.health = False, 0
        elif self.overflow or self.error:
            self.stopped, self.health = True, over | self.error << 1
        self.overflow = over
        if load and not self.load:
            self.busy, self.error = True, self.error or self.busy
        elif self.busy and rises:
            self.error = True
        elif finished:
            self.busy = self.error = False
        self.load = load


class _Divider:
    """64 bits by 32: shift, compare, subtract."""

    def __init__(self) -> None:
        self.quotient: int | None = None
        self.rest = self.index = self.result = 0
        self.on = self.last = False

    def tick(self, load: bool, dividend: int, divisor: int) -> None:  # noqa: FBT001 - wires
        on, last, rest, index, result = self.on, self.last, self.rest, self.index, self.result
        if load:
            self.on, self.rest = True, dividend
        elif last and on:
            self.on, self.quotient = False, result
        else:
            self.quotient = None
        self.last = index == 31
        if not on:
            self.index = self.result = 0
            return
        place = 31 - index
        part = rest >> place & 0xFFFFFFFF
        if part >= divisor:
            self.result |= 1 << place
            self.rest = self.rest & ~(0xFFFFFFFF << place) | part - divisor << place
        self.index = min(index + 1, 31)


#: Repeats, trigger, position, times, outputs.
SeqRow = tuple[int, int, int, tuple[int, int], tuple[int, int]]


class _Seq:
    """A SEQ with a fixed table that is already loaded."""

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
    """Make a SEQ with a fixed table that is loaded from a tick on."""

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
