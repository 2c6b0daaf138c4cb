"""HDF5 attributes of a dataset: the source of its values and their scaling."""

from collections.abc import Mapping
from typing import Any

from .columns import Column


def dataset_attributes(column: Column, names: Mapping[str, str], descriptions: Mapping[str, str]) -> dict[str, Any]:
    """Return the attributes of a dataset.

    Args:
        column: column stored in the dataset
        names: dataset name of each column of the file: {"PCAP.GATE_DURATION.Value": "gate"}
        descriptions: description of each field, by field name
    """
    source = column.field
    attributes: dict[str, Any] = {
        "field": source.name,
        "capture": source.capture,
        "units": source.units if column.scaled else "",
        "description": descriptions.get(source.name, ""),
    }
    if source.scale is not None:
        attributes |= {"scale": source.scale, "offset": source.offset or 0.0, "scaled": column.scaled}
        attributes |= {} if column.scaled else {"scaled_units": source.units}
    if column.scaling is not None:
        attributes["formula"] = column.scaling.formula
        operands = column.scaling.operands(source.name)
        attributes |= {key: names[operand] for key, operand in operands.items() if operand in names}
    return attributes
