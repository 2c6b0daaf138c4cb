"""What differs here from the records of devIocStats that softioc brings along, as the text of an EPICS database.

They are about the process: CPU, memory, clients, queues, uptime. softioc's are loaded as they are; then this text says

- what they do not know when they are part of a Python process: the host, the kernel, the process;
- that `SYSRESET` ends the IOC as `IOC:RESTART` does: as it was, the file of a capture would never be closed;
- that `READACF` refuses: the rules of PV Access would stay as they were.
"""

import os
import platform
from collections.abc import Iterator

from ...plan.plan import Plan
from ...plan.status import RESTART

#: What calls `IOC:RESTART`: a subroutine record cannot itself.
_RESET = "SYSRESET:DO"


def corrections(plan: Plan) -> str:
    """Say them for the IOC that runs in this process."""
    return "".join(
        f'record({kind}, "{plan.pv(name)}") {{\n'
        + "".join(f'  field({field}, "{value}")\n' for field, value in fields.items())
        + "}\n"
        for kind, name, fields in _records(plan)
    )


def _records(plan: Plan) -> Iterator[tuple[str, str, dict[str, str]]]:
    texts = {"HOSTNAME": platform.node(), "KERNEL_VERS": f"{platform.system()} {platform.release()}"}
    for name, text in texts.items():
        yield "stringin", name, {"DTYP": "Soft Channel", "INP": f"{{const:'{text[:39]}'}}"}
    for name, number in (("PROCESS_ID", os.getpid()), ("PARENT_ID", os.getppid())):
        yield "ai", name, {"DTYP": "Soft Channel", "INP": str(number)}
    yield "sub", "SYSRESET", {"L": "0", "FLNK": plan.pv(_RESET)}
    yield "calcout", _RESET, {"CALC": "1", "OUT": f"{plan.pv(RESTART)} PP"}
    yield "sub", "READACF", {"DISP": "1", "DESC": "Restart the IOC to read it anew"}
