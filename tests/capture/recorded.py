"""Recorded acquisitions as events."""

from pathlib import Path

from panda_ioc.protocol import Data, DataConnection

from ..conftest import SHARED

#: Each acquisition was recorded raw and scaled; these are the raw ones.
RAW = sorted((SHARED / "recordings" / "data").glob("*.raw.bin")) if SHARED.is_dir() else []


def events(data: bytes) -> list[Data]:
    """Return the events of a data connection for some bytes."""
    connection = DataConnection()
    connection.connect()
    return list(connection.receive_bytes(data))


def scaled_twin(raw: Path) -> Path:
    """Return the same acquisition, scaled by the server."""
    return raw.with_name(raw.name.replace(".raw.", ".scaled."))
