"""The words that PCAP captures for the columns of a sample."""

from collections.abc import Mapping, Sequence

from .blocks import capture
from .layout import Item

_SUM = (capture.SUM_LOW, capture.SUM_HIGH)

#: The capture modes of a position that each way to capture it needs.
_MODES: Mapping[str, tuple[int, ...]] = {
    "Value": (capture.VALUE,),
    "Diff": (capture.DIFF,),
    "Sum": _SUM,
    "Mean": _SUM,
    "Min": (capture.MINIMUM,),
    "Max": (capture.MAXIMUM,),
    "StdDev": (capture.SQUARES_LOW, capture.SQUARES_MID, capture.SQUARES_HIGH),
}

#: The codes of the other fields, by their name in PCAP.
_EXTENSIONS: Mapping[str, tuple[int, ...]] = {
    "TS_START": (capture.TS_START, capture.TS_START + 0x10),
    "TS_END": (capture.TS_END, capture.TS_END + 0x10),
    "TS_TRIG": (capture.TS_TRIG, capture.TS_TRIG + 0x10),
    "GATE_DURATION": (capture.GATE_DURATION,),
    **{f"BITS{word}": (capture.BITS0 + 0x10 * word,) for word in range(4)},
}


def codes(items: Sequence[Item], positions: Sequence[str]) -> list[int]:
    """Return the code of each word of a sample, in order; 0 for words that PCAP cannot capture.

    Args:
        items: columns of the sample
        positions: entries of the position bus, in order
    """
    slots = {name: slot for slot, name in enumerate(positions) if slot < capture.POSITIONS}
    return [code for item in items for code in _codes(item, slots)]


def _codes(item: Item, slots: Mapping[str, int]) -> Sequence[int]:
    if item.name in slots:
        return [slots[item.name] << 4 | mode for mode in _MODES[item.capture]]
    known = _EXTENSIONS.get(item.name.rpartition(".")[2], ())
    return known if len(known) == item.words else [capture.NOTHING] * item.words
