"""The service that owns all PVs about captured data: takes puts, and shows what is so."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ....capture.acquisition import AcquisitionState
from ....capture.columns import Column, check_dataset_name, stored_columns
from ....capture.errors import CaptureError
from ....capture.live import LiveView
from ....capture.options import BITS_TYPES, ColumnOptions
from ....client import PandaConnectionError
from ....protocol import Changes, Data, EndData, PandaError, StartData
from ...ending import end_at_once
from ...link.panda import PandaLink
from ...plan.alarm import NO_ALARM, Alarm, Severity, Status
from ...plan.autosave import AutosaveEntry
from ...plan.codecs import Refusal, Value
from ...plan.data_records import ACQUIRE, CAPTURE, DATASETS, FLUSH_NOW
from ...plan.data_settings import PATH_SETTINGS, SERVICE, Settings
from ...plan.model import Model
from ...plan.plan import Plan
from ...plan.record import Content
from ...servers.put import Put
from ...servers.served import Pv
from ..service import Service
from .acquiring import Acquiring, captured_samples
from .capture import Captures, FileFacts
from .datasets import asked_columns, capturable, dtype_name, expected_columns
from .publish import Counters, Seldom
from .receiver import Receiver, Taker
from .view import View, without_samples

log = logging.getLogger(__name__)

_DATASET = ":DATASET"

#: Seconds that a capture may take to end with the IOC.
_CLOSE_TIMEOUT = 10.0


class DataService(Service):
    """See the module.

    Args:
        link: the PandA
        plan: what is served
        model: what the PandA has
        roots: files are made only below these directories, anywhere if there are none
    """

    def __init__(self, link: PandaLink, plan: Plan, model: Model, roots: Sequence[Path] = ()) -> None:
        self._link = link
        self._records = [record for record in plan.records if record.service == SERVICE]
        self._fields = capturable(model)
        self._known = link.known.texts
        self._settings = Settings()
        self._names: dict[str, str] = {}
        self._datasets: tuple[list[str], list[str], str] | None = None
        self._pvs: Mapping[str, Pv] = {}
        self._live = LiveView(self._settings["LIVE:NUM_POINTS"], self._asked)
        self._captures = Captures(self._settings, self._file_facts(model, roots), self._show)
        captured = partial(captured_samples, link)
        self._receiver = Receiver(Taker(self._ready, self._take, captured, self._captures.room, self._lost))
        self._counters = Counters(self._receiver, self._captures)
        self._ends = Seldom(self._show)
        self._view = View(self._live, self._settings)
        self._acquiring = Acquiring(link, self._receiver, self._show_acquire, self._flush)
        self._setting_turn, self._capture_turn = asyncio.Lock(), asyncio.Lock()
        self._checking: asyncio.Task[None] | None = None
        self._path_changed = True  # since the last capture began
        self._puts: Mapping[str, Callable[[Any], Awaitable[None]]] = {
            CAPTURE: self._put_capture,
            ACQUIRE: self._put_acquire,
            FLUSH_NOW: self._put_flush,
        }

    def _file_facts(self, model: Model, roots: Sequence[Path]) -> FileFacts:
        panda = model.identity
        versions = {"panda_versions": f"PandA SW: {panda.software} FPGA: {panda.fpga} rootfs: {panda.rootfs}"}
        descriptions = {f"{instance}.{field}": info.description for instance, field, info in model.fields()}
        return FileFacts(self._columns, roots, versions, descriptions)

    # What a service does: see `Service`.

    def initial_values(self) -> Mapping[str, Content]:
        values: dict[str, Content] = {
            record.name: _nothing(record.kind.is_text, record.kind.is_array)
            for record in self._records
            if record.constant is None
        }
        values[DATASETS] = {"name": [], "dtype": []}
        values.update(without_samples(self._records))
        values.update(self._settings.values())
        values.update({f"{field.replace('.', ':')}{_DATASET}": name for field, name in self._names.items()})
        return values

    def kept(self) -> Mapping[str, AutosaveEntry]:
        """What is to be there again after a restart, by the names of records: settings and names of datasets."""
        settings = self._settings
        kept = {
            name: AutosaveEntry(partial(self._get, name), partial(settings.put, name)) for name in settings.values()
        }
        for record in self._records:
            if record.name.endswith(_DATASET):
                name = record.name
                kept[name] = AutosaveEntry(partial(self._get, name), partial(self._set_dataset, name))
        return kept

    def _get(self, name: str) -> Value:
        return self._settings.values()[name] if name in self._settings else self._names.get(_field(name), "")

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        self._pvs = pvs
        self._counters.bind(pvs)
        self._view.bind(pvs)
        self._show_datasets()
        self._show()
        self._follow_path()
        self._checking = asyncio.create_task(self._show_directory())

    def connected(self, *, again: bool) -> None:  # noqa: ARG002 - files may be lost at the first time, too
        self._show_datasets()
        self._receiver.open(self._link.another())

    def disconnected(self) -> None:
        # A PandA that is gone need not close its data port; what still came would be of nobody knows what.
        self._receiver.drop(PandaConnectionError(f"the PandA is gone: {self._link.lost}"))

    def apply(self, changes: Changes, different: Collection[str]) -> None:  # noqa: ARG002
        if any(key.endswith(".CAPTURE") for key in different):
            self._show_datasets()

    async def put(self, put: Put) -> None:
        name, value = put.name, put.value
        if name in self._puts:
            await self._puts[name](value)
        elif name in self._settings:
            await self._put_setting(name, value)
        elif name.endswith(_DATASET):
            self._put_dataset(name, value)
        else:
            raise Refusal(f"{name} can only be read")

    async def close(self) -> None:
        self._acquiring.cancel()
        if self._checking is not None:
            self._checking.cancel()
        self._captures.finish()
        if not await self._captures.wait_closed(_CLOSE_TIMEOUT):
            # An orderly end would wait for the disk, and come to grief when that is back.
            progress = self._captures.progress
            missing = progress.waiting if progress is not None else 0
            path = self._captures.path
            end_at_once(f"the disk takes nothing: ending without {missing} samples that are not in {path}")
        await self._receiver.close()
        await self._view.close()
        self._counters.close()
        self._ends.close()

    # Puts.

    async def _put_capture(self, value: int) -> None:
        async with self._capture_turn:
            if value:
                begun = await self._start_capture()
                self._path_changed = self._path_changed and not begun
                if begun and self._settings["AUTO_INCREMENT"]:
                    number = min(self._settings["FILE_NUMBER"] + 1, 2**31 - 1)
                    self._settings.put("DATA:FILE_NUMBER", number)
                    self._pvs["DATA:FILE_NUMBER"].post(number)
            else:
                await self._captures.stop()
            self._show()
            self._pvs[CAPTURE].post(int(self._captures.active))

    async def _start_capture(self) -> bool:
        if self._link.lost:
            raise Refusal("there is no connection to the PandA")
        if not self._captures.active:
            self._check_refused()
        await self._link.refresh()  # what is captured may have been changed a moment ago, by others
        self._check_datasets()
        return await self._captures.start(self._receiver)

    def _check_refused(self) -> None:
        """Begin no capture while a setting is not what somebody wanted: its last put was refused."""
        for name in self._settings.of_captures():
            refusal = self._pvs[name].refusal
            if refusal is not NO_ALARM:
                problem = f"{name} was refused: {refusal.message}. Put it again, then CAPTURE"
                self._captures.refuse(problem)
                raise Refusal(problem)

    async def _put_acquire(self, value: int) -> None:
        await (self._acquiring.start if value else self._acquiring.stop)()

    def _show_acquire(self, under_way: int) -> None:
        self._pvs[ACQUIRE].post(under_way)

    async def _put_flush(self, value: int) -> None:
        if value:
            await self._flush()
        self._pvs[FLUSH_NOW].post(0)

    async def _flush(self) -> None:
        await self._captures.flush()
        self._counters.publish()

    async def _put_setting(self, name: str, value: Any) -> None:
        async with self._setting_turn:
            before = self._settings.values()[name]
            self._settings.put(name, value)
            try:
                await self._follow_setting(name.removeprefix("DATA:"), value)
            except BaseException:
                self._settings.put(name, before)
                raise
            self._pvs[name].post(value)
            if name.removeprefix("DATA:") in PATH_SETTINGS:
                self._path_changed = True
                self._follow_path()

    async def _follow_setting(self, name: str, value: Any) -> None:
        match name:
            case "HDF_DIRECTORY" | "CREATE_DIRECTORY":
                exists = await self._captures.directory_exists()
                self._pvs["DATA:DIRECTORY_EXISTS"].post(int(exists))
                self._show()
            case "FLUSH_PERIOD":
                self._captures.set_flush_period(value)
            case "RAW" | "NAMED_ONLY" | "BITS_TYPE" | "NEXUS":
                self._show_datasets()
            case "CHUNK_ROWS" | "HDF_FILE_NAME" | "FILE_TEMPLATE":
                self._show()
            case "LIVE:NUM_POINTS":
                self._live.points = int(value)
                self._view.wake()

    def _set_dataset(self, name: str, value: str) -> None:
        if value:
            check_dataset_name(value)
        self._names[_field(name)] = value

    def _put_dataset(self, name: str, value: str) -> None:
        self._set_dataset(name, value)
        self._pvs[name].post(value)
        self._show_datasets()

    # What comes.

    def _ready(self) -> None:
        self._counters.wake()

    def _take(self, data: Data, acquisition: AcquisitionState) -> None:
        self._captures.take(data, acquisition)
        self._live.take(data, acquisition, keep=bool(self._settings["LIVE:ACQUIRE"]))
        self._view.wake()
        self._counters.wake()
        if isinstance(data, EndData):
            self._ends.happened()  # it may have ended badly, while the capture goes on

    def _lost(self, error: PandaError) -> None:
        self._captures.lost(error)
        self._counters.wake()

    def _columns(self, raw: bool) -> Callable[[StartData], Sequence[Column]]:  # noqa: FBT001
        """What is stored of an acquisition: by the names, and what people chose for capture, when it begins."""
        options = replace(self._column_options(), raw=raw)

        def columns(start: StartData) -> Sequence[Column]:
            return stored_columns(start, replace(options, names=dict(self._names), asked=self._asked()))

        return columns

    def _column_options(self) -> ColumnOptions:
        settings = self._settings
        return ColumnOptions(
            names=self._names,
            raw=bool(settings["RAW"]),
            only_named=bool(settings["NAMED_ONLY"]),
            bits=BITS_TYPES[settings["BITS_TYPE"]],
            nexus=bool(settings["NEXUS"]),
        )

    def _asked(self) -> frozenset[str]:
        """What people chose for capture, by whatever client."""
        return asked_columns(self._fields, self._known.get)

    # What is shown.

    def _show(self) -> None:
        """Show whether a capture is under way, and how the last one went."""
        captures = self._captures
        problem = captures.problem
        alarm = Alarm(Severity.MAJOR, Status.WRITE, problem) if problem else NO_ALARM
        self._pvs["DATA:NUM_PER_CHUNK"].post(captures.rows_per_chunk)
        waiting = captures.status if captures.waits else ""
        slow = Alarm(Severity.MINOR, Status.STATE, waiting) if waiting else NO_ALARM
        self._pvs["DATA:STATUS"].post(captures.status, alarm if problem else slow)
        self._pvs["DATA:WRITE_STATUS"].post(int(bool(problem)), alarm)
        self._pvs["DATA:WRITE_MESSAGE"].post(problem, alarm)
        self._view.pause(waiting)
        self._counters.publish()
        self._follow_path()
        if self._pvs[CAPTURE].value != int(captures.active):
            self._pvs[CAPTURE].post(int(captures.active))

    def _follow_path(self) -> None:
        """Show the path of the capture under way; when settings changed, and there is none, that of the next one."""
        path = self._captures.path
        if self._path_changed and not self._captures.active:
            path = self._captures.next_path()
        if self._pvs["DATA:HDF_FULL_FILE_PATH"].value != path:
            self._pvs["DATA:HDF_FULL_FILE_PATH"].post(path)

    async def _show_directory(self) -> None:
        """Show whether the directory that was kept from the last run is there."""
        try:
            exists = await self._captures.directory_exists()
        except PandaError as error:
            log.warning("%s", error)
            return
        self._pvs["DATA:DIRECTORY_EXISTS"].post(int(exists))

    def _show_datasets(self) -> None:
        try:
            columns = expected_columns(self._fields, self._known.get, self._column_options())
            datasets = [column.name for column in columns], [dtype_name(column) for column in columns], ""
        except CaptureError as error:
            datasets = [], [], str(error)
        if datasets == self._datasets or not self._pvs:
            return
        self._datasets = names, types, problem = datasets
        alarm = Alarm(Severity.MINOR, Status.STATE, problem) if problem else NO_ALARM
        self._pvs[DATASETS].post({"name": names, "dtype": types}, alarm)
        self._pvs[f"{DATASETS}:Name"].post(names, alarm)
        self._pvs[f"{DATASETS}:DType"].post(types, alarm)
        self._pvs[f"{DATASETS}:LABELS"].post(["Name", "Type"])

    def _check_datasets(self) -> None:
        if self._datasets is not None and self._datasets[2]:
            raise Refusal(self._datasets[2])


def _field(record: str) -> str:
    """The field that a DATASET record names: "INENC1:VAL:DATASET" is of INENC1.VAL."""
    return record.removesuffix(_DATASET).replace(":", ".")


def _nothing(is_text: bool, is_array: bool) -> Content:  # noqa: FBT001
    return "" if is_text else [] if is_array else 0
