"""Run a data port that sends prepared bytes as fast as possible, one acquisition to each client.

It also has a control port with the replies that clients need before they read data. Example:

    python benchmarks/source.py 8888 8889 1000000000 &
    panda-ioc capture 127.0.0.1 x.h5
"""

import socket
import struct
import sys
import threading

import numpy as np

FIELDS = [
    ("PCAP.BITS0", "uint32", "Value", ""),
    ("COUNTER1.OUT", "int32", "Value", ' scale="0.5" offset="10" units="mm"'),
    ("COUNTER2.OUT", "int32", "Min", ' scale="1" offset="0" units=""'),
    ("COUNTER2.OUT", "int32", "Max", ' scale="1" offset="0" units=""'),
    ("COUNTER4.OUT", "int32", "Diff", ' scale="2" offset="0" units=""'),
    ("INENC1.VAL", "int32", "Value", ' scale="-0.0001" offset="5.25" units="deg"'),
    ("INENC2.VAL", "int32", "Value", ' scale="0.002" offset="0" units="mm"'),
    ("PCAP.TS_TRIG", "int64", "Value", ' scale="8e-09" offset="0" units="s"'),
    ("PCAP.TS_END", "int64", "Value", ' scale="8e-09" offset="0" units="s"'),
    ("COUNTER3.OUT", "int64", "Sum", ' scale="0.001" offset="0" units=""'),
    ("INENC3.VAL", "int64", "Sum", ' scale="0.25" offset="0" units=""'),
]
TYPES = {"uint32": "<u4", "int32": "<i4", "int64": "<i8"}
DTYPE = np.dtype([(f"{name}.{capture}", TYPES[kind]) for name, kind, capture, _ in FIELDS])
ROWS = 65536 // DTYPE.itemsize

HEADER = (
    "<header>\n"
    '<data arm_time="2026-11-22T07:08:02.609244246Z" start_time="2026-11-22T07:08:02.611832539Z" missed="0" '
    f'process="Raw" format="Framed" sample_bytes="{DTYPE.itemsize}" />\n<fields>\n'
    + "".join(f'<field name="{n}" type="{t}" capture="{c}"{rest} />\n' for n, t, c, rest in FIELDS)
    + "</fields>\n</header>\n\n"
).encode()


def frame() -> bytes:
    """Return a frame of random samples."""
    rows = np.random.default_rng(1).integers(0, 255, ROWS * DTYPE.itemsize, np.uint8).tobytes()
    return struct.pack("<4sI", b"BIN ", len(rows) + 8) + rows


def frames(total_bytes: int) -> int:
    """Return the number of frames of an acquisition of a size in bytes."""
    return max(1, total_bytes // (ROWS * DTYPE.itemsize))


def send(client: socket.socket, count: int, megabytes_per_second: float) -> None:
    """Send an acquisition, then wait until the client disconnects."""
    block = frame() * 16
    with client:
        try:
            client.recv(100)
            client.sendall(b"OK\n" + HEADER)
            pace = threading.Event()
            for _ in range(count // 16):
                client.sendall(block)
                if megabytes_per_second:
                    pace.wait(len(block) / megabytes_per_second / 1e6)
            client.sendall(b"END %d Ok\n" % (count // 16 * 16 * ROWS))
            client.recv(1)
        except OSError:
            pass


def answer(command: str) -> str:
    """Return the reply to a request: the capture settings, or the identity."""
    captures: dict[str, list[str]] = {}
    for name, _, capture, _ in FIELDS:
        captures.setdefault(name, []).append(capture)
    told = {name: " ".join(words) for name, words in captures.items()}
    if command == "*CAPTURE?":
        return "".join(f"!{name} {words}\n" for name, words in told.items()) + ".\n"
    if command.endswith(".CAPTURE?"):
        return f"OK ={told[command.removesuffix('.CAPTURE?')]}\n"
    return "OK =PandA SW: 4.1 FPGA: 0.0.0 00000000 00000000 rootfs: x\n"


def control(client: socket.socket) -> None:
    """Reply to every request of a client."""
    with client, client.makefile("rb") as commands:
        try:
            for line in commands:
                client.sendall(answer(line.decode().removesuffix("\n")).encode())
        except OSError:
            pass


def main() -> None:
    control_port, data_port, total = map(int, sys.argv[1:4])
    pace = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
    listeners = [socket.create_server(("127.0.0.1", port)) for port in (control_port, data_port)]
    print("ready", flush=True)

    def accept_control() -> None:
        while True:
            threading.Thread(target=control, args=(listeners[0].accept()[0],), daemon=True).start()

    threading.Thread(target=accept_control, daemon=True).start()
    while True:
        client = listeners[1].accept()[0]
        threading.Thread(target=send, args=(client, frames(total), pace), daemon=True).start()


if __name__ == "__main__":
    main()
