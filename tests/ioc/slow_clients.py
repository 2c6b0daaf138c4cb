"""HTTP clients that send a request byte by byte and reconnect when they are closed, as a separate process."""

import contextlib
import selectors
import socket
import sys
import time

#: Time between bytes in s.
_PERIOD = 0.2


def be_slow(port: int, count: int) -> None:
    """Run this number of clients of the server on a port of this host, until the process ends."""
    selector = selectors.DefaultSelector()

    def come() -> None:
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        selector.register(client, selectors.EVENT_READ, client)

    for _ in range(count):
        come()
    due = time.monotonic()
    while True:
        for key, _ in selector.select(max(0.0, due - time.monotonic())):
            selector.unregister(key.data)
            key.data.close()
            come()
        if time.monotonic() >= due:
            due = time.monotonic() + _PERIOD
            for key in list(selector.get_map().values()):
                with contextlib.suppress(OSError):
                    key.data.send(b"G")


if __name__ == "__main__":
    be_slow(*map(int, sys.argv[1:3]))
