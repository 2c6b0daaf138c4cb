"""How a file is made. Apart from `hdf`, which takes a tenth of a second to load, so that plans need not wait for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: What a file can be compressed with: for each, the class of hdf5plugin, or HDF5's own filter.
COMPRESSIONS = {"none": None, "gzip": "gzip", "lz4": "LZ4", "zstd": "Zstd"}


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

    rows_per_chunk: int = 16384
    compression: str = "none"
    nexus: bool = False
    overwrite: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
