"""How a file is made. Apart from `hdf`, which takes a tenth of a second to load, so that plans need not wait for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: What a file can be compressed with: for each, the class of hdf5plugin, or HDF5's own filter.
COMPRESSIONS = {"none": None, "gzip": "gzip", "lz4": "LZ4", "zstd": "Zstd"}

#: The types that bits can have in a file; those of raw data stay as they are, uint32.
BITS_TYPES = ("uint32", "float64")

#: Rows of a chunk: ophyd-async declares that many. Larger chunks cost less CPU in fast captures.
ROWS_PER_CHUNK = 1024


@dataclass(frozen=True)
class ColumnOptions:
    """Which columns of an acquisition are stored, and how.

    Attributes:
        names: names that people gave to datasets, by field; "" for none
        raw: store the integers of raw data; otherwise values in units, as float64
        asked: the columns that people chose for capture, such as "INENC1.VAL.Mean"; None for all. Others, which a
            PandA adds to raw data to compute means and deviations from, are stored with raw data only
        only_named: store only fields that have a name, and what is needed to scale these
        bits: the type of bits, one of BITS_TYPES; it does not apply to raw data
        nexus: make names valid in NeXus
    """

    names: Mapping[str, str] = field(default_factory=dict)
    raw: bool = False
    asked: frozenset[str] | None = None
    only_named: bool = False
    bits: str = "uint32"
    nexus: bool = False


@dataclass(frozen=True)
class FileOptions:
    """How a file is made.

    Attributes:
        rows_per_chunk: of every dataset
        compression: a key of COMPRESSIONS
        nexus: add an NXentry with an NXdata, so that common viewers plot the columns
        overwrite: an existing file may be replaced
        attributes: of the file, such as the versions of PandA and IOC
        descriptions: of the fields, by name
    """

    rows_per_chunk: int = ROWS_PER_CHUNK
    compression: str = "none"
    nexus: bool = False
    overwrite: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
