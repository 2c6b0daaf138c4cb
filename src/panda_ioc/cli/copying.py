"""Read the blocks and settings of a real PandA, to simulate it."""

from pathlib import Path

from .. import textfile
from ..client import BlockingClient
from ..protocol import (
    ChangeGroup,
    ForgetChanges,
    GetBlockInfo,
    GetChanges,
    GetFieldInfo,
    GetMetadata,
    GetMultiline,
    GetState,
    Identify,
)
from ..simulator.copying import Answers, as_text, device_of
from ..simulator.spec import DeviceSpec

_TIMEOUT = 30.0


def copy(host: str, control_port: int, data_port: int, file: Path) -> list[str]:
    """Copy the blocks and settings of a PandA into a device file.

    Returns:
        the fields that were skipped, because the simulator does not support their types
    """
    device, left_out = device_at(host, control_port, data_port, file.stem)
    textfile.replace(file, as_text(device))
    return left_out


def device_at(host: str, control_port: int, data_port: int, name: str) -> tuple[DeviceSpec, list[str]]:
    """Return the blocks and settings of a PandA; nothing is written to it.

    Returns:
        the device with the given name, and the fields that were skipped, because the simulator does not support their
        types
    """
    with BlockingClient(host, control_port, data_port, timeout=_TIMEOUT) as client:
        blocks = client.send(GetBlockInfo())
        fields = dict(zip(blocks, client.send([GetFieldInfo(block) for block in blocks]), strict=True))
        client.send(ForgetChanges(ChangeGroup.READ, restart=True))
        readings = client.send(GetChanges(ChangeGroup.READ)).values
        answers = Answers(
            identity=client.send(Identify()),
            blocks=blocks,
            fields=fields,
            bits=[name for name in client.send(GetMultiline("*BITS")) if name],
            positions=[name for name in client.send(GetMultiline("*POSITIONS")) if name],
            captures=client.send(GetMultiline("*CAPTURE.OPTIONS")),
            metadata=client.send(GetMetadata()),
            state=client.send(GetState()),
            readings={name: value for name, value in readings.items() if name.count(".") == 1},
        )
    return device_of(answers, name)
