"""The columns of a captured sample, and the header of an acquisition that describes them.

The hardware captures 32-bit words; a sample in raw data is just those words in the order of its columns, which
is by type, not by field: bits, 32-bit numbers, 64-bit numbers, means, standard deviations. Raw data has what means
and deviations are computed from, asked for or not: the gate duration in front of all, the sum (as Mean) of a
field in front of its sum of squares (as StdDev). All this was seen in the data of server 4.1.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from .fields import Field
from .numbers import TICK, format_scaling
from .panda import Panda

#: The groups of columns in their order: which captures, of which type in raw data, as how many words.
_GROUPS: Sequence[tuple[frozenset[str], str, int]] = (
    (frozenset({"bits"}), "uint32", 1),
    (frozenset({"samples", "Value", "Diff", "Min", "Max"}), "int32", 1),
    (frozenset({"timestamp", "Sum"}), "int64", 2),
    (frozenset({"Mean"}), "int64", 2),
    (frozenset({"StdDev"}), "int96", 3),
)

_DTYPES = {"uint32": "<u4", "int32": "<i4", "int64": "<i8", "int96": "<u4"}

_GATE = "PCAP.GATE_DURATION"


@dataclass(frozen=True)
class Item:
    """A column.

    Attributes:
        name: the field
        capture: what of it
        type: in raw data
        words: how many 32-bit words it has
        scale, offset, units: of the field when it was armed; None for bits
        only_raw: whether it is in raw data only, for others to be computed from
    """

    name: str
    capture: str
    type: str
    words: int
    scale: float | None = None
    offset: float = 0.0
    units: str = ""
    only_raw: bool = False

    @property
    def column(self) -> str:
        """Its name in the types of samples."""
        return f"{self.name}.{self.capture}"


@dataclass(frozen=True)
class Layout:
    """The columns of a sample.

    Attributes:
        items: in the order of the bytes
    """

    items: tuple[Item, ...]

    @property
    def words(self) -> int:
        """How many 32-bit words a raw sample has."""
        return sum(item.words for item in self.items)

    @property
    def scaled_items(self) -> list[Item]:
        """The columns of scaled data: those that were asked for."""
        return [item for item in self.items if not item.only_raw]

    @cached_property
    def raw_dtype(self) -> np.dtype[np.void]:
        """The type of a raw sample."""
        return np.dtype(
            [(item.column, _DTYPES[item.type], (3,) if item.type == "int96" else ()) for item in self.items]
        )

    @cached_property
    def scaled_dtype(self) -> np.dtype[np.void]:
        """The type of a scaled sample: bits as they are, all else as double."""
        return np.dtype([(item.column, "<u4" if item.scale is None else "<f8") for item in self.scaled_items])

    def scale(self, raw: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """Scale raw samples.

        Args:
            raw: shape (samples,), of `raw_dtype`

        Returns:
            shape (samples,), of `scaled_dtype`; means and deviations of a window with no gated tick are NaN
        """
        scaled = np.empty(len(raw), self.scaled_dtype)
        for item in self.scaled_items:
            if item.scale is None:
                scaled[item.column] = raw[item.column]
            elif item.capture == "Mean":
                scaled[item.column] = raw[item.column] * item.scale / _gates(raw) + item.offset
            elif item.capture == "StdDev":
                scaled[item.column] = _deviations(raw, item) * item.scale
            else:
                scaled[item.column] = raw[item.column] * item.scale + item.offset
        return scaled

    def described(self, *, scaled: bool) -> Iterator[tuple[Item, str]]:
        """Each column of raw or scaled data, with its type."""
        for item in self.scaled_items if scaled else self.items:
            yield item, "double" if scaled and item.scale is not None else item.type


def layout_of(panda: Panda) -> Layout:
    """What is chosen for capture now."""
    chosen = list(_chosen(panda))
    items = [
        item
        for members, kind, words in _GROUPS
        for field, capture, key in chosen
        if key in members
        for item in _items(field, capture, kind, words)
    ]
    needs_gate = any(item.capture in {"Mean", "StdDev"} for item in items)
    if needs_gate and not any(item.name == _GATE for item in items):
        items.insert(0, Item(_GATE, "Value", "int32", 1, TICK, 0.0, "s", only_raw=True))
    return Layout(tuple(items))


def _chosen(panda: Panda) -> Iterator[tuple[Field, str, str]]:
    """Each capture that is chosen: the field, what of it, and by what its group is found."""
    captured = [field for field in panda.fields.values() if "CAPTURE" in field.attributes]
    for field in sorted(captured, key=lambda field: field.spec.kind != "ext_out"):
        chosen = str(field.attributes["CAPTURE"].read())
        for capture in chosen.split() if chosen != "No" else ():
            yield field, capture, field.spec.subtype or capture


def _items(field: Field, capture: str, kind: str, words: int) -> list[Item]:
    """The column of a capture, with the one that must go before it."""
    item = _item(field, capture, kind, words)
    options = str(field.attributes["CAPTURE"].read()).split()
    if capture == "Mean" and "StdDev" in options:
        return []  # it comes with the deviation
    if capture == "StdDev":
        return [replace(item, capture="Mean", type="int64", words=2, only_raw="Mean" not in options), item]
    return [item]


def _item(field: Field, capture: str, kind: str, words: int) -> Item:
    if field.spec.subtype == "bits":
        return Item(field.name, capture, kind, words)
    if field.spec.kind == "ext_out":
        return Item(field.name, capture, kind, words, TICK, 0.0, "s")
    scaling = field.scaling
    return Item(field.name, capture, kind, words, scaling.scale, scaling.offset, scaling.units)


def _gates(raw: npt.NDArray[np.void]) -> npt.NDArray[np.float64]:
    """The gate durations in ticks: unsigned, whatever the header says; NaN for 0, by which nothing is divided."""
    gates = raw[f"{_GATE}.Value"].astype("<u4").astype(float)
    return np.where(gates == 0, np.nan, gates)


def _deviations(raw: npt.NDArray[np.void], item: Item) -> npt.NDArray[np.float64]:
    """Standard deviations before scaling, in Python's integers: slow, and exact."""
    rows = zip(
        _gates(raw).tolist(),
        raw[f"{item.name}.Mean"].tolist(),
        raw[item.column].tolist(),
        strict=True,
    )
    return np.array([_deviation(gate, total, words) for gate, total, words in rows])


def _deviation(gate: float, total: int, words: Sequence[int]) -> float:
    if math.isnan(gate):
        return math.nan
    count = int(gate)
    squares = sum(word << 32 * place for place, word in enumerate(words))
    variance = count * squares - total * total
    return math.sqrt(variance) / count if variance >= 0 else math.nan


def xml_header(layout: Layout, about: Sequence[tuple[str, str]], *, scaled: bool) -> str:
    """The header in XML; `about` tells of the acquisition."""
    told = " ".join(f'{name}="{value}"' for name, value in about)
    lines = ["<header>", f"<data {told} />", "<fields>"]
    for item, kind in layout.described(scaled=scaled):
        scaling = ""
        if item.scale is not None:
            units = escape(item.units or "(null)", {'"': "&quot;", "'": "&apos;"})
            scaling = f' scale="{format_scaling(item.scale)}" offset="{format_scaling(item.offset)}" units="{units}"'
        lines.append(f'<field name="{item.name}" type="{kind}" capture="{item.capture}"{scaling} />')
    return "\n".join([*lines, "</fields>", "</header>", "", ""])


def text_header(layout: Layout, about: Sequence[tuple[str, str]], *, scaled: bool) -> str:
    """The header in lines."""
    lines = [*(f"{name}: {value}" for name, value in about), "fields:"]
    for item, kind in layout.described(scaled=scaled):
        scaling = ""
        if item.scale is not None:
            scale, offset = format_scaling(item.scale), format_scaling(item.offset)
            scaling = f" scale: {scale} offset: {offset} units: {item.units or '(null)'}"
        lines.append(f" {item.name} {kind} {item.capture}{scaling}")
    return "\n".join([*lines, "", ""])
