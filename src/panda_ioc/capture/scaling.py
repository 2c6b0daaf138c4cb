"""Conversion of raw columns to physical values, for frames and for files.

Each rule performs its operations in the order of the server. Results are bit-identical to the server's if scale and
offset have at most 12 digits, the precision of the acquisition header. Otherwise the product raw x scale and the offset
have relative errors of up to 5e-12.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .int128 import variance_numerator

Values = npt.NDArray[Any]

#: Gate duration in ticks. The header declares int32, but the hardware and the server treat it as unsigned.
GATE = "PCAP.GATE_DURATION.Value"


@dataclass(frozen=True)
class Scaling:
    """The scaling rule of a column.

    Attributes:
        formula: formula as text, in terms of `raw`, `scale`, `offset` and the keys of `needs`
        needs: other raw columns used by the formula. Key: name in the formula; value: captured quantity of the same
            field, or "" for the gate duration
        rule: implementation of `compute`
    """

    formula: str
    needs: Mapping[str, str]
    rule: Callable[[Mapping[str, Values], float, float, Values], None]

    def compute(self, values: Mapping[str, Values], scale: float, offset: float, out: Values) -> None:
        """Compute physical values.

        Args:
            values: operands by their names in the formula, including `raw`: (rows,) integers, or (rows, 3) uint32 for
                int96
            scale: SCALE of the field
            offset: OFFSET of the field
            out: (rows,) float64 array for the result
        """
        with np.errstate(all="ignore"):  # an offset may be inf, and corrupt data may have any value
            self.rule(values, scale, offset, out)

    def operands(self, field: str) -> dict[str, str]:
        """Return the other columns that a column of a field is computed from, by their names in the formula."""
        return {key: f"{field}.{capture}" if capture else GATE for key, capture in self.needs.items()}


def _linear(values: Mapping[str, Values], scale: float, offset: float, out: Values) -> None:
    out[...] = values["raw"]  # convert first: faster than multiplying integers, same result
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
    """Return the gate duration as float64; NaN for 0, because an empty sum has no mean."""
    divisor = gate.astype(np.float64)
    divisor[divisor == 0] = np.nan
    return divisor


LINEAR = Scaling("raw * scale + offset", {}, _linear)
MEAN = Scaling("raw * scale / gate + offset", {"gate": ""}, _mean)
DEVIATION = Scaling("sqrt(gate * raw - sum**2) / gate * scale", {"gate": "", "sum": "Mean"}, _deviation)

_BY_CAPTURE = {"Mean": MEAN, "StdDev": DEVIATION}


def scaling_of(capture: str, *, wide: bool) -> Scaling | None:
    """Return the rule of a raw column with a scale; None if its type does not match the captured quantity.

    Args:
        capture: captured quantity: "Mean"
        wide: whether the values are int96
    """
    scaling = _BY_CAPTURE.get(capture, LINEAR)
    return scaling if (scaling is DEVIATION) == wide else None


def unsigned_gate(name: str, values: Values) -> Values:
    """Return raw values of a column; a gate duration is converted from int32 to unsigned."""
    return values.view("<u4") if name == GATE and values.dtype == np.dtype("<i4") else values
