"""Ports of the measured IOCs, and the time at which an IOC starts to reply.

Channel Access clients search with growing pauses, so the time until they find an IOC says little about the IOC. This
module sends a search every few milliseconds until it gets a reply.
"""

import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence

PORTS = {
    "EPICS_CA_SERVER_PORT": "25064",
    "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
    "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
    "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
    "EPICS_CA_ADDR_LIST": "127.0.0.1",
    "EPICS_CA_AUTO_ADDR_LIST": "NO",
    "EPICS_PVA_SERVER_PORT": "25075",
    "EPICS_PVA_BROADCAST_PORT": "25076",
    "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
    "EPICS_PVA_ADDR_LIST": "127.0.0.1",
    "EPICS_PVA_AUTO_ADDR_LIST": "NO",
}

_HEADER = struct.Struct(">HHHHII")
_VERSION, _SEARCH, _MINOR, _REPLY = 0, 6, 13, 5


def use_ports() -> None:
    """Set the ports on which clients of this process search; call this before you import a client."""
    os.environ.update(PORTS)


def wait_until_found(pvs: Sequence[str], timeout: float = 60) -> None:
    """Wait until a server has replied to a search for each PV."""
    missing = dict(enumerate(pvs))
    deadline = time.monotonic() + timeout
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.003)
        while missing:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no server replied for {next(iter(missing.values()))}")
            udp.sendto(_questions(missing), ("127.0.0.1", int(PORTS["EPICS_CA_SERVER_PORT"])))
            with contextlib.suppress(TimeoutError, ConnectionError):
                for channel in _answers(udp.recv(65536)):
                    missing.pop(channel, None)


def _questions(missing: Mapping[int, str]) -> bytes:
    """Return a datagram with the maximum number of searches that a server accepts."""
    datagram = _HEADER.pack(_VERSION, 0, 0, _MINOR, 0, 0)
    for channel, pv in missing.items():
        name = pv.encode() + b"\0"
        name += b"\0" * (-len(name) % 8)
        datagram += _HEADER.pack(_SEARCH, len(name), _REPLY, _MINOR, channel, channel) + name
        if len(datagram) > 1300:
            break
    return datagram


def _answers(datagram: bytes) -> Iterator[int]:
    place = 0
    while place + _HEADER.size <= len(datagram):
        kind, size, _, _, _, channel = _HEADER.unpack_from(datagram, place)
        if kind == _SEARCH:
            yield channel
        place += _HEADER.size + size
