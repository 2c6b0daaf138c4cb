"""The ports of the IOCs that are measured, and the moment at which one begins to answer.

Channel Access clients search with growing pauses, so how soon they find an IOC says little about it. Here a
search is sent every few milliseconds until it is answered.
"""

import os
import socket
import struct
import time

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
    """Make the clients of this process search these ports; call it before any client is imported."""
    os.environ.update(PORTS)


def wait_until_found(pv: str, timeout: float = 60) -> None:
    """Wait until a server answers for a PV."""
    name = pv.encode() + b"\0"
    name += b"\0" * (-len(name) % 8)
    question = (
        _HEADER.pack(_VERSION, 0, 0, _MINOR, 0, 0) + _HEADER.pack(_SEARCH, len(name), _REPLY, _MINOR, 1, 1) + name
    )
    deadline = time.monotonic() + timeout
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.005)
        while time.monotonic() < deadline:
            try:
                udp.sendto(question, ("127.0.0.1", int(PORTS["EPICS_CA_SERVER_PORT"])))
                answer = udp.recv(4096)
            except (TimeoutError, ConnectionError):
                continue
            if len(answer) >= 2 * _HEADER.size and _HEADER.unpack_from(answer, _HEADER.size)[0] == _SEARCH:
                return
    raise TimeoutError(f"nobody answers for {pv}")
