"""NeXus metadata by which viewers find the data to plot."""

from collections.abc import Sequence

import h5py

from .columns import Column


def mark_as_nexus(file: h5py.File, columns: Sequence[Column]) -> None:
    """Add an NXentry with an NXdata that links to the columns; a time stamp column is the axis of the others."""
    entry = file.create_group("entry")
    entry.attrs.update({"NX_class": "NXentry", "default": "data"})
    file.attrs.update({"NX_class": "NXroot", "default": "entry"})
    data = entry.create_group("data")
    data.attrs["NX_class"] = "NXdata"
    for column in columns:
        data[column.name] = h5py.SoftLink(f"/{column.name}")
    times = [column.name for column in columns if column.field.name.startswith("PCAP.TS_")]
    values = [
        column.name
        for column in columns
        if column.name not in times and column.field.scale is not None and not column.shape
    ]
    if values:
        data.attrs["signal"] = values[0]
    if values[1:]:
        data.attrs["auxiliary_signals"] = values[1:]
    if times:
        data.attrs["axes"] = [times[-1]]
