"""Plan the records about the IOC itself: connection, versions, polls, puts."""

from collections.abc import Iterator

from ... import __version__
from ...protocol import Identity
from .record import STRING_BYTES, Access, Kind, Record

CONNECTION = "Status"
CONNECTION_STATES = ("DISCONNECTED", "CONNECTING", "CONNECTED")
CONNECTION_TEXT = "IOC:CONNECTION"
PUTS_ACCEPTED = "IOC:PUTS_ACCEPTED"
PUTS_REFUSED = "IOC:PUTS_REFUSED"
LAST_REFUSED = "IOC:LAST_REFUSED"
POLL_PERIOD = "IOC:POLL_PERIOD"
POLL_DURATION = "IOC:POLL_DURATION"
UPTIME = "IOC:UPTIME"
RECONNECTS = "IOC:RECONNECTS"
RESTART = "IOC:RESTART"

#: Name of the service that owns `IOC:RESTART`.
RESTART_SERVICE = "restart"


def status_records(identity: Identity) -> Iterator[Record]:
    """Plan the status records.

    Args:
        identity: versions that the PandA reports
    """
    yield Record(
        CONNECTION,
        Kind.MBBI,
        "Connection to the PandA",
        labels=CONNECTION_STATES,
        aliases=("STATUS",),
    )
    yield Record(CONNECTION_TEXT, Kind.TEXTIN, "State of the PandA connection as text")
    versions = {
        "PANDA_SW_VERSION": (identity.software, "Version of the PandA server"),
        "FPGA_VERSION": (identity.fpga, "Version of the FPGA firmware"),
        "ROOTFS_VERSION": (identity.rootfs, "Version of the root file system"),
        "IOC_VERSION": (__version__, "Version of this IOC"),
    }
    for name, (version, description) in versions.items():
        yield Record(f"SYSTEM:{name}", Kind.STRINGIN, description, block="SYSTEM", constant=version)
        if len(version.encode()) > STRING_BYTES:
            yield Record(f"SYSTEM:{name}:TEXT", Kind.TEXTIN, description, block="SYSTEM", constant=version)
    yield Record(UPTIME, Kind.AI, "Time since the IOC started", units="s", precision=0)
    yield Record(RECONNECTS, Kind.LONGIN, "Number of reconnections to the PandA")
    yield Record(POLL_PERIOD, Kind.AI, "Time between polls, mean over 1 s", units="ms", precision=1)
    yield Record(POLL_DURATION, Kind.AI, "Duration of a recent poll", units="ms", precision=1)
    yield Record(PUTS_ACCEPTED, Kind.LONGIN, "Number of accepted puts")
    yield Record(PUTS_REFUSED, Kind.LONGIN, "Number of refused puts")
    yield Record(LAST_REFUSED, Kind.TEXTIN, "Last refused put, and why")
    yield Record(
        RESTART,
        Kind.BO,
        "Exit the IOC with code 75 for a restart",
        access=Access.EXECUTE,
        labels=("", ""),
        service=RESTART_SERVICE,
    )
