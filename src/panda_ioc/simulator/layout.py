"""The columns of a captured sample, and the header that describes them.

The hardware captures 32-bit words; a raw sample is those words in the order of its columns. Columns are ordered by
type, not by field: bits, 32-bit numbers, 64-bit numbers, means, standard deviations. Raw data includes what means and
deviations are computed from, even if it was not selected: the gate duration comes first, and the sum of a field (as
Mean) comes before its sum of squares (as StdDev). All this was observed in the data of server 4.1.
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

#: Groups of columns in order: capture ways, type in raw data, words.
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
        name: name of the field
        capture: way to capture it: "Value", "Mean", ...
        type: type in raw data: "uint32", "int32", "int64" or "int96"
        words: number of 32-bit words
        scale, offset, units: scaling of the field when PCAP was armed; scale is None for bits
        only_raw: whether it is in raw data only, as an input to other columns
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
        """Name of the field in the dtype of samples."""
        return f"{self.name}.{self.capture}"


@dataclass(frozen=True)
class Layout:
    """The columns of a sample.

    Attributes:
        items: columns in byte order
    """

    items: tuple[Item, ...]

    @property
    def words(self) -> int:
        """Number of 32-bit words in a raw sample."""
        return sum(item.words for item in self.items)

    @property
    def scaled_items(self) -> list[Item]:
        """Columns of scaled data: those that were selected."""
        return [item for item in self.items if not item.only_raw]

    @cached_property
    def raw_dtype(self) -> np.dtype[np.void]:
        """Structured dtype of a raw sample."""
        return np.dtype(
            [(item.column, _DTYPES[item.type], (3,) if item.type == "int96" else ()) for item in self.items]
        )

    @cached_property
    def scaled_dtype(self) -> np.dtype[np.void]:
        """Structured dtype of a scaled sample: uint32 for bits, float64 for everything else."""
        return np.dtype([(item.column, "<u4" if item.scale is None else "<f8") for item in self.scaled_items])

    def scale(self, raw: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """Scale raw samples.

        Args:
            raw: shape (samples,), dtype `raw_dtype`

        Returns:
            shape (samples,), dtype `scaled_dtype`; means and deviations over no gated tick are NaN
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
        """Yield each column of raw or scaled data with its type in the header."""
        for item in self.scaled_items if scaled else self.items:
            yield item, "double" if scaled and item.scale is not None else item.type


def layout_of(panda: Panda) -> Layout:
    """Return the columns of the current capture settings."""
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
    """Yield each selected capture: the field, the way to capture it, and the key of its group."""
    captured = [field for field in panda.fields.values() if "CAPTURE" in field.attributes]
    for field in sorted(captured, key=lambda field: field.spec.kind != "ext_out"):
        chosen = str(field.attributes["CAPTURE"].read())
        for capture in chosen.split() if chosen != "No" else ():
            yield field, capture, field.spec.subtype or capture


def _items(field: Field, capture: str, kind: str, words: int) -> list[Item]:
    """Return the column of a capture, preceded by the column that it is computed from."""
    item = _item(field, capture, kind, words)
    options = str(field.attributes["CAPTURE"].read()).split()
    if capture == "Mean" and "StdDev" in options:
        return []  # the branch below adds it in front of the deviation
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
    """Return the gate durations in ticks, as unsigned numbers (the header says int32); NaN instead of 0."""
    gates = raw[f"{_GATE}.Value"].astype("<u4").astype(float)
    return np.where(gates == 0, np.nan, gates)


def _deviations(raw: npt.NDArray[np.void], item: Item) -> npt.NDArray[np.float64]:
    """Compute standard deviations before scaling with Python integers: slow but exact."""
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
    """Return the header in XML; `about` has the attributes of the acquisition."""
    attributes = " ".join(f'{name}="{value}"' for name, value in about)
    lines = ["<header>", f"<data {attributes} />", "<fields>"]
    for item, kind in layout.described(scaled=scaled):
        scaling = ""
        if item.scale is not None:
            units = escape(item.units or "(null)", {'"': "&quot;", "'": "&apos;"})
            scaling = f' scale="{format_scaling(item.scale)}" offset="{format_scaling(item.offset)}" units="{units}"'
        lines.append(f'<field name="{item.name}" type="{kind}" capture="{item.capture}"{scaling} />')
    return "\n".join([*lines, "</fields>", "</header>", "", ""])


def text_header(layout: Layout, about: Sequence[tuple[str, str]], *, scaled: bool) -> str:
    """Return the header as plain text."""
    lines = [*(f"{name}: {value}" for name, value in about), "fields:"]
    for item, kind in layout.described(scaled=scaled):
        scaling = ""
        if item.scale is not None:
            scale, offset = format_scaling(item.scale), format_scaling(item.offset)
            scaling = f" scale: {scale} offset: {offset} units: {item.units or '(null)'}"
        lines.append(f" {item.name} {kind} {item.capture}{scaling}")
    return "\n".join([*lines, "", ""])
