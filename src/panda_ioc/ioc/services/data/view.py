"""The live view as PVs: the last samples and their statistics by field, and all columns as a table."""

import asyncio
import logging
import math
from collections.abc import Iterable, Mapping

import numpy as np

from ....capture.errors import CaptureError
from ....capture.live import LiveView, Snapshot, Trace
from ...plan.alarm import NO_ALARM, Alarm, Severity, Status
from ...plan.data_records import LIVE, STATISTICS
from ...plan.data_settings import Settings
from ...plan.record import Content, Record
from ...servers.served import Pv

log = logging.getLogger(__name__)


class LivePvs:
    """Publisher of the live view, at the rate of LIVE:RATE while samples are received.

    Args:
        live: the last samples
        settings: settings of the live view
    """

    def __init__(self, live: LiveView, settings: Settings) -> None:
        self._live = live
        self._settings = settings
        self._pvs: Mapping[str, Pv] = {}
        self._task: asyncio.Task[None] | None = None
        self._version = live.version
        self._shown: dict[str, str] = {}
        self._paused = ""

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Store the PVs."""
        self._pvs = pvs

    def wake(self) -> None:
        """Start publishing, if it is not running."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._show())

    def pause(self, reason: str) -> None:
        """Show why no new samples are received; "" when they are received again."""
        if reason != self._paused:
            self._paused = reason
            self._post_message("")

    async def close(self) -> None:
        """Stop publishing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _show(self) -> None:
        try:
            while self._version != self._live.version:
                self._version = self._live.version
                await self._show_once()
                await asyncio.sleep(1 / self._settings["LIVE:RATE"])
        finally:
            self._task = None

    async def _show_once(self) -> None:
        shown = self._live.window()
        if shown is None:
            return
        try:
            snapshot = await asyncio.to_thread(shown.snapshot)
        except CaptureError as error:
            self._post_message(str(error))
            return
        self._post(snapshot)

    def _post(self, snapshot: Snapshot) -> None:
        self._pvs["DATA:LIVE:NUM_SAMPLES"].post(min(snapshot.samples, 2**31 - 1))
        self._post_message("")
        if not len(snapshot.time) and self._shown:
            return  # keep the samples of the last acquisition until the first ones of the new one
        traces = snapshot.by_field()
        for name in self._shown.keys() - traces.keys():
            self._clear(name)
        for name, trace in traces.items():
            self._post_trace(name, trace)
        axis = f"time ({'s' if snapshot.time_source else 'sample'})"
        columns = {axis: snapshot.time} | {
            f"{trace.field.column} ({trace.field.units})" if trace.field.units else trace.field.column: trace.values
            for trace in snapshot.traces
        }
        self._pvs[LIVE].post(columns)
        self._pvs["DATA:LIVE:TIME"].post(snapshot.time)
        self._pvs["DATA:LIVE:TIME_SOURCE"].post(snapshot.time_source or "sample number")
        self._pvs["DATA:LIVE:CURRENT_POINT"].post(len(snapshot.time))

    def _post_message(self, problem: str) -> None:
        message = problem or self._paused
        self._pvs["DATA:LIVE:MESSAGE"].post(
            message, Alarm(Severity.MINOR, Status.STATE, message) if message else NO_ALARM
        )

    def _post_trace(self, name: str, trace: Trace) -> None:
        record = f"{name.replace('.', ':')}:LIVE"
        if record not in self._pvs:
            return  # a field that the PandA did not list during introspection
        fields = {}
        if self._shown.get(name) != trace.field.units:
            self._shown[name] = fields["EGU"] = trace.field.units
        self._pvs[record].post(trace.values.astype(np.float64), NO_ALARM, fields)
        for part, attribute in STATISTICS.items():
            self._pvs[f"{record}:{part}"].post(getattr(trace.statistics, attribute), NO_ALARM, fields)

    def _clear(self, name: str) -> None:
        del self._shown[name]
        record = f"{name.replace('.', ':')}:LIVE"
        self._pvs[record].post([])
        for part in STATISTICS:
            self._pvs[f"{record}:{part}"].post(math.nan)


def without_samples(records: Iterable[Record]) -> dict[str, Content]:
    """Return the values of the live view without samples: NaN without an alarm, so that no alarm is latched."""
    statistics = {record.name for record in records if record.name.rpartition(":LIVE:")[2] in STATISTICS}
    return {LIVE: {}, **dict.fromkeys(statistics, math.nan)}
