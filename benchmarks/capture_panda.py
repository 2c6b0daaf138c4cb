"""Simulate a PandA that captures 15 words per sample at a given rate after each arm.

python capture_panda.py MEGABYTES_PER_SECOND SECONDS
"""

import asyncio
import sys

import numpy as np

from panda_ioc.simulator import Server, load

CAPTURES = {
    "PCAP.BITS0": "Value",
    "PCAP.TS_TRIG": "Value",
    "PCAP.TS_END": "Value",
    "COUNTER1.OUT": "Value",
    "COUNTER2.OUT": "Min Max",
    "COUNTER3.OUT": "Sum",
    "COUNTER4.OUT": "Diff",
    "INENC1.VAL": "Value",
    "INENC2.VAL": "Value",
    "INENC3.VAL": "Sum",
}
WORDS = 15

#: Seconds between blocks of samples.
BEAT = 0.02


async def main() -> None:
    rate, seconds = float(sys.argv[1]) * 1e6, float(sys.argv[2])
    control_port, data_port = map(int, sys.argv[3:5] or (0, 0))
    rows = int(rate * BEAT / WORDS / 4)
    loop = asyncio.get_running_loop()
    tasks = set()
    async with Server(load(), control_port=control_port, data_port=data_port) as server:
        for name, capture in CAPTURES.items():
            write = server.panda.fields[name].attributes["CAPTURE"].write
            assert write
            write(capture)
        words = np.random.default_rng(1).integers(0, 2**20, (rows, WORDS), np.uint32)

        async def samples() -> None:
            server.capture.start()
            began = loop.time()
            for number in range(int(seconds / BEAT)):
                if not server.capture.busy:  # disarmed
                    return
                server.capture.append(words)
                await asyncio.sleep(max(0, began + (number + 1) * BEAT - loop.time()))
            server.capture.end("Ok")

        def on_arm(*_: object) -> None:
            task = loop.create_task(samples())
            tasks.add(task)

        server.capture.on_arm = on_arm
        server.capture.on_disarm = lambda: server.capture.end("Disarmed")
        print(server.control_port, server.data_port, rows * int(seconds / BEAT), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
