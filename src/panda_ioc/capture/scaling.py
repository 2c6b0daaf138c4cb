"""How raw columns become physical values: one rule for each kind of column, for frames and for files alike.

Each rule performs its operations in the order of the server. Results equal the server's to the last bit if the
scale and offset have at most the 12 digits that the header of an acquisition gives them; otherwise the product
raw x scale and the offset differ by up to 5e-12 of themselves each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .int128 import variance_numerator

Values = npt.NDArray[Any]

#: The gate duration in ticks. A header says int32; the hardware counts, and the server divides, unsigned.
GATE = "PCAP.GATE_DURATION.Value"


@dataclass(frozen=True)
class Scaling:
    """How a column is scaled.

    Attributes:
        formula: for people, in terms of `raw`, `scale`, `offset`, and of the keys of `needs`
        needs: other raw columns that it is computed from: by the name in the formula, the capture of the same
            field, or "" for the gate duration
        rule: does `compute`
    """

    formula: str
    needs: Mapping[str, str]
    rule: Callable[[Mapping[str, Values], float, float, Values], None]

    def compute(self, values: Mapping[str, Values], scale: float, offset: float, out: Values) -> None:
        """Compute physical values.

        Args:
            values: `raw` and what else the formula needs, by these names: integers of shape (rows,), int96 as
                uint32 of shape (rows, 3)
            scale: of the field
            offset: of the field
            out: takes the result: float64, shape (rows,)
        """
        with np.errstate(all="ignore"):  # an offset may be inf, and corrupt data may be anything
            self.rule(values, scale, offset, out)

    def operands(self, field: str) -> dict[str, str]:
        """Return the other columns that one of a field is computed from, by their names in the formula."""
        return {key: f"{field}.{capture}" if capture else GATE for key, capture in self.needs.items()}


def _linear(values: Mapping[str, Values], scale: float, offset: float, out: Values) -> None:
    out[...] = values["raw"]  # converted first: faster than multiplication with integers, and the same
    np.multiply(out, scale, out=out)
    if offset:
        np.add(out, offset, out=out)


def _mean(values: Mapping[str, Values], scale: float, offset: float, out: Values) -> None:
    np.multiply(values["raw"], scale, out=out)
    np.divide(out, _divisor(values["gate"]), out=out)
    if offset:
        np.add(out, offset, out=out)


def _deviation(values: Mapping[str, Values], scale: float, _offset: float, out: Values) -> None:
    np.sqrt(variance_numerator(values["gate"], values["sum"], values["raw"]), out=out)
    np.divide(out, _divisor(values["gate"]), out=out)
    np.multiply(out, scale, out=out)


def _divisor(gate: Values) -> npt.NDArray[np.float64]:
    """Return the gate as float64, NaN where it was never high: a sum over nothing has no mean."""
    divisor = gate.astype(np.float64)
    divisor[divisor == 0] = np.nan
    return divisor


LINEAR = Scaling("raw * scale + offset", {}, _linear)
MEAN = Scaling("raw * scale / gate + offset", {"gate": ""}, _mean)
DEVIATION = Scaling("sqrt(gate * raw - sum**2) / gate * scale", {"gate": "", "sum": "Mean"}, _deviation)

_BY_CAPTURE = {"Mean": MEAN, "StdDev": DEVIATION}


def scaling_of(capture: str, *, wide: bool) -> Scaling | None:
    """Return the rule for a raw column that has a scale; None where its type is not that of what was captured.

    Args:
        capture: what was captured of the field: "Mean"
        wide: whether values are int96
    """
    scaling = _BY_CAPTURE.get(capture, LINEAR)
    return scaling if (scaling is DEVIATION) == wide else None


def unsigned_gate(name: str, values: Values) -> Values:
    """Return raw values of a column as the numbers that they are: a gate duration is unsigned, whatever its type."""
    return values.view("<u4") if name == GATE and values.dtype == np.dtype("<i4") else values
