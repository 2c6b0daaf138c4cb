"""Options of files. Separate from `hdf`, whose import takes 0.1 s, which most users of the options do not need."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ColumnOptions", "FileOptions"]

#: Compressions: the class of hdf5plugin, or HDF5's own filter.
COMPRESSIONS = {"none": None, "gzip": "gzip", "lz4": "LZ4", "zstd": "Zstd"}

#: dtypes of bits in a file of scaled data; raw data have uint32.
BITS_TYPES = ("uint32", "float64")

#: Rows per chunk, as declared by ophyd-async. Larger chunks need less CPU in fast captures.
ROWS_PER_CHUNK = 1024


@dataclass(frozen=True)
class ColumnOptions:
    """Options that select the columns to store and their format.

    Attributes:
        names: dataset names by field name; "" or missing for the default name
        raw: True stores raw integers, False physical values as float64
        asked: columns selected for capture, such as "INENC1.VAL.Mean"; None for all. Other columns, which a PandA adds
            to raw data for the computation of means and deviations, are stored only with raw data. If the acquisition
            has others than these, the selection is outdated, and all columns are stored
        only_named: store only the fields that have a dataset name, and the columns needed to scale them
        bits: dtype of bits, "uint32" or "float64"; ignored for raw data
        nexus: replace characters that NeXus does not allow in names
    """

    names: Mapping[str, str] = field(default_factory=dict)
    raw: bool = False
    asked: frozenset[str] | None = None
    only_named: bool = False
    bits: str = "uint32"
    nexus: bool = False


@dataclass(frozen=True)
class FileOptions:
    """Options of an HDF5 file.

    Attributes:
        rows_per_chunk: number of rows per chunk of each dataset
        compression: "none", "gzip", "lz4" or "zstd"
        nexus: add an NXentry with an NXdata, so that NeXus viewers plot the columns
        overwrite: replace an existing file
        attributes: attributes of the file, such as the versions of PandA and IOC
        descriptions: description of each field, by field name
    """

    rows_per_chunk: int = ROWS_PER_CHUNK
    compression: str = "none"
    nexus: bool = False
    overwrite: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
