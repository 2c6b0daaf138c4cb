"""What a captured sample is made of, and how it is told in the header of an acquisition.

The hardware captures 32-bit words; a sample in raw data is just those words in the order of its columns, which
is by type, not by field: bits, 32-bit numbers, 64-bit numbers, means, standard deviations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from .fields import Field
from .numbers import TICK, format_float
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
    """

    name: str
    capture: str
    type: str
    words: int
    scale: float | None = None
    offset: float = 0.0
    units: str = ""


@dataclass(frozen=True)
class Layout:
    """The columns of a sample.

    Attributes:
        items: in the order of the bytes
        helper: whether the first one was added, to divide means by, and not asked for
    """

    items: tuple[Item, ...]
    helper: bool

    @property
    def words(self) -> int:
        """How many 32-bit words a raw sample has."""
        return sum(item.words for item in self.items)

    @cached_property
    def raw_dtype(self) -> np.dtype[np.void]:
        """The type of a raw sample."""
        return np.dtype(
            [
                (f"{item.name}.{item.capture}", _DTYPES[item.type], (3,) if item.type == "int96" else ())
                for item in self.items
            ]
        )

    @cached_property
    def scaled_dtype(self) -> np.dtype[np.void]:
        """The type of a scaled sample: bits as they are, all else as double."""
        return np.dtype(
            [
                (f"{item.name}.{item.capture}", "<u4" if item.scale is None else "<f8")
                for item in self.items[int(self.helper) :]
            ]
        )

    def scale(self, raw: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """Scale raw samples."""
        scaled = np.empty(len(raw), self.scaled_dtype)
        names = raw.dtype.names or ()
        gate = raw[f"{_GATE}.Value"].astype(float) if f"{_GATE}.Value" in names else np.zeros(len(raw))
        with np.errstate(divide="ignore", invalid="ignore"):
            for item in self.items[int(self.helper) :]:
                column = f"{item.name}.{item.capture}"
                if item.scale is None:
                    scaled[column] = raw[column]
                elif item.capture == "Mean":
                    scaled[column] = raw[column] * item.scale / gate + item.offset
                elif item.capture == "StdDev":
                    scaled[column] = _deviations(raw, item)
                else:
                    scaled[column] = raw[column] * item.scale + item.offset
        return scaled

    def described(self, *, scaled: bool) -> Iterator[tuple[Item, str]]:
        """Each column of raw or scaled data, with its type."""
        for item in self.items[int(self.helper and scaled) :]:
            yield item, "double" if scaled and item.scale is not None else item.type


def layout_of(panda: Panda) -> Layout:
    """What is chosen for capture now."""
    chosen = list(_chosen(panda))
    items = [
        _item(field, capture, kind, words)
        for members, kind, words in _GROUPS
        for field, capture, key in chosen
        if key in members
    ]
    needs_gate = any(item.capture in {"Mean", "StdDev"} for item in items)
    helper = needs_gate and not any(item.name == _GATE for item in items)
    if helper:
        items.insert(0, Item(_GATE, "Value", "int32", 1, TICK, 0.0, "s"))
    return Layout(tuple(items), helper)


def _chosen(panda: Panda) -> Iterator[tuple[Field, str, str]]:
    """Each capture that is chosen: the field, what of it, and by what its group is found."""
    captured = [field for field in panda.fields.values() if "CAPTURE" in field.attributes]
    for field in sorted(captured, key=lambda field: field.spec.kind != "ext_out"):
        chosen = str(field.attributes["CAPTURE"].read())
        for capture in chosen.split() if chosen != "No" else ():
            yield field, capture, field.spec.subtype or capture


def _item(field: Field, capture: str, kind: str, words: int) -> Item:
    if field.spec.subtype == "bits":
        return Item(field.name, capture, kind, words)
    if field.spec.kind == "ext_out":
        return Item(field.name, capture, kind, words, TICK, 0.0, "s")
    scale, offset, units = (str(field.attributes[name].read()) for name in ("SCALE", "OFFSET", "UNITS"))
    return Item(field.name, capture, kind, words, float(scale), float(offset), units)


def _deviations(raw: npt.NDArray[np.void], item: Item) -> npt.NDArray[np.float64]:
    """Standard deviations, in Python's integers: slow, and exact; without a sum there are none."""
    names = raw.dtype.names or ()
    sums = [column for column in (f"{item.name}.Mean", f"{item.name}.Sum") if column in names]
    if not sums:
        return np.full(len(raw), np.nan)
    rows = zip(
        raw[f"{_GATE}.Value"].tolist(),
        raw[sums[0]].tolist(),
        raw[f"{item.name}.StdDev"].tolist(),
        strict=True,
    )
    values = []
    for count, total, (low, middle, high) in rows:
        squares = low | middle << 32 | high << 64
        values.append((count * squares - total * total) ** 0.5 / count * (item.scale or 0.0) if count else np.nan)
    return np.array(values)


def xml_header(layout: Layout, about: Sequence[tuple[str, str]], *, scaled: bool) -> str:
    """The header in XML; `about` tells of the acquisition."""
    told = " ".join(f'{name}="{value}"' for name, value in about)
    lines = ["<header>", f"<data {told} />", "<fields>"]
    for item, kind in layout.described(scaled=scaled):
        scaling = ""
        if item.scale is not None:
            units = escape(item.units or "(null)", {'"': "&quot;", "'": "&apos;"})
            scaling = f' scale="{format_float(item.scale)}" offset="{format_float(item.offset)}" units="{units}"'
        lines.append(f'<field name="{item.name}" type="{kind}" capture="{item.capture}"{scaling} />')
    return "\n".join([*lines, "</fields>", "</header>", "", ""])


def text_header(layout: Layout, about: Sequence[tuple[str, str]], *, scaled: bool) -> str:
    """The header in lines."""
    lines = [*(f"{name}: {value}" for name, value in about), "fields:"]
    for item, kind in layout.described(scaled=scaled):
        scaling = ""
        if item.scale is not None:
            scale, offset = format_float(item.scale), format_float(item.offset)
            scaling = f" scale: {scale} offset: {offset} units: {item.units or '(null)'}"
        lines.append(f" {item.name} {kind} {item.capture}{scaling}")
    return "\n".join([*lines, "", ""])
