"""Corrections of the devIocStats records of softioc, as the text of an EPICS database.

devIocStats has records about the process: CPU, memory, clients, queues, uptime. The database of softioc is loaded
unchanged, then this text, which

- sets values that are missing in a Python process: host, kernel, process;
- lets `SYSRESET` restart the IOC like `IOC:RESTART`; otherwise it would not close the file of a capture;
- disables `READACF`, which would not change the rules of PV Access.
"""

import os
import platform
from collections.abc import Iterator

from ...plan.plan import Plan
from ...plan.status import RESTART

#: The record through which SYSRESET puts to `IOC:RESTART`; a sub record has no output link.
_RESET = "SYSRESET:DO"


def corrections(plan: Plan) -> str:
    """Return the corrections for the IOC in this process."""
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
    yield "sub", "READACF", {"DISP": "1", "DESC": "Disabled: restart the IOC instead"}
