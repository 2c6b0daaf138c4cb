"""Recorded acquisitions, as events."""

from pathlib import Path

from panda_ioc.protocol import Data, DataConnection

from ..conftest import SHARED

#: Each acquisition was recorded raw and scaled; these are the raw ones.
RAW = sorted((SHARED / "recordings" / "data").glob("*.raw.bin")) if SHARED.is_dir() else []


def events(data: bytes) -> list[Data]:
    """What a data connection makes of bytes."""
    connection = DataConnection()
    connection.connect()
    return list(connection.receive_bytes(data))


def scaled_twin(raw: Path) -> Path:
    """The same acquisition, as the server scaled it."""
    return raw.with_name(raw.name.replace(".raw.", ".scaled."))
