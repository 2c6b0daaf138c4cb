"""The service of all PVs about captured data."""

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
from .acquiring import AcquireController, captured_samples
from .capture import CaptureController, FileFacts
from .datasets import asked_columns, capturable, dtype_name, expected_columns
from .publish import Counters, Throttle
from .receiver import DataConsumer, Receiver
from .view import LivePvs, without_samples

log = logging.getLogger(__name__)

_DATASET = ":DATASET"

#: Time limit for closing the file at shutdown, in s.
_CLOSE_TIMEOUT = 10.0


class DataService(Service):
    """The service of the PVs of captures, dataset names and the live view.

    Args:
        link: the connection to the PandA
        plan: the records and tables to serve
        model: blocks and fields of the PandA
        roots: directories in which files may be created; empty for any directory
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
        self._captures = CaptureController(self._settings, self._file_facts(model, roots), self._show)
        captured, wait_room = captured_samples(link), self._captures.wait_room
        self._receiver = Receiver(DataConsumer(self._ready, self._process, captured, wait_room, self._lost))
        self._counters = Counters(self._receiver, self._captures)
        self._ends = Throttle(self._show)
        self._view = LivePvs(self._live, self._settings)
        self._acquiring = AcquireController(link, self._receiver, self._show_acquire, self._flush)
        self._setting_lock, self._capture_lock = asyncio.Lock(), asyncio.Lock()
        self._checking: asyncio.Task[None] | None = None
        self._path_changed = True  # since the start of the last capture
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

    def initial_values(self) -> Mapping[str, Content]:
        values: dict[str, Content] = {
            record.name: _empty(record.kind.is_text, record.kind.is_array)
            for record in self._records
            if record.constant is None
        }
        values[DATASETS] = {"name": [], "dtype": []}
        values.update(without_samples(self._records))
        values.update(self._settings.values())
        values.update({f"{field.replace('.', ':')}{_DATASET}": name for field, name in self._names.items()})
        return values

    def autosave_entries(self) -> Mapping[str, AutosaveEntry]:
        """Return the settings and dataset names that autosave restores, by record."""
        settings = self._settings
        entries = {
            name: AutosaveEntry(partial(self._get, name), partial(settings.put, name)) for name in settings.values()
        }
        for record in self._records:
            if record.name.endswith(_DATASET):
                name = record.name
                entries[name] = AutosaveEntry(partial(self._get, name), partial(self._set_dataset, name))
        return entries

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

    def connected(self, *, again: bool) -> None:  # noqa: ARG002 - the same at the first connection
        self._show_datasets()
        self._receiver.open(self._link.new_client())

    def disconnected(self) -> None:
        # A lost PandA may leave its data port open; the origin of data received from now on is uncertain.
        self._receiver.drop(PandaConnectionError(f"the PandA was lost: {self._link.lost}"))

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
            raise Refusal(f"{name} is read-only")

    async def close(self) -> None:
        self._acquiring.cancel()
        if self._checking is not None:
            self._checking.cancel()
        self._captures.finish()
        await self._receiver.close()  # before the wait: a flood of data would take the time of the writer
        if not await self._captures.wait_closed(_CLOSE_TIMEOUT):
            # An orderly shutdown would wait for the disk without a limit.
            progress = self._captures.progress
            missing = progress.waiting if progress is not None else 0
            path = self._captures.path
            end_at_once(f"the disk does not respond: stopping, {missing} samples are not in {path}")
        await self._view.close()
        self._counters.close()
        self._ends.close()

    async def _put_capture(self, value: int) -> None:
        async with self._capture_lock:
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
            raise Refusal(f"no connection to the PandA: {self._link.lost}")
        if not self._captures.active:
            self._check_refused()
        await self._link.refresh()  # other clients may have just changed the capture settings
        self._check_datasets()
        return await self._captures.start(self._receiver)

    def _check_refused(self) -> None:
        """Refuse to start a capture while the last put to one of its settings is refused."""
        for name in self._settings.of_captures():
            refusal = self._pvs[name].refusal
            if refusal is not NO_ALARM:
                problem = f"the last put to {name} was refused: {refusal.message}. Put it again, then CAPTURE"
                self._captures.refuse(problem)
                raise Refusal(problem)

    async def _put_acquire(self, value: int) -> None:
        await (self._acquiring.start if value else self._acquiring.stop)()

    def _show_acquire(self, running: int) -> None:
        self._pvs[ACQUIRE].post(running)

    async def _put_flush(self, value: int) -> None:
        if value:
            await self._flush()
        self._pvs[FLUSH_NOW].post(0)

    async def _flush(self) -> None:
        await self._captures.flush()
        self._counters.publish()

    async def _put_setting(self, name: str, value: Any) -> None:
        async with self._setting_lock:
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

    def _ready(self) -> None:
        self._counters.wake()

    def _process(self, data: Data, acquisition: AcquisitionState) -> None:
        self._captures.process(data, acquisition)
        self._live.process(data, acquisition, keep=bool(self._settings["LIVE:ACQUIRE"]))
        self._view.wake()
        self._counters.wake()
        if isinstance(data, EndData):
            self._ends.call()  # STATUS shows an error of an acquisition while the capture continues

    def _lost(self, error: PandaError) -> None:
        self._captures.lost(error)
        self._counters.wake()

    def _columns(self, raw: bool) -> Callable[[StartData], Sequence[Column]]:  # noqa: FBT001
        """Return a function that selects the columns to store, by the settings at the start of an acquisition."""
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
        """Return the columns selected for capture on the PandA."""
        return asked_columns(self._fields, self._known.get)

    def _show(self) -> None:
        """Post the state of the current capture, or the result of the last one."""
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
        """Post the path of the current or last file; after a change of its settings, that of the next file."""
        path = self._captures.path
        if self._path_changed and not self._captures.active:
            path = self._captures.next_path()
        if self._pvs["DATA:HDF_FULL_FILE_PATH"].value != path:
            self._pvs["DATA:HDF_FULL_FILE_PATH"].post(path)

    async def _show_directory(self) -> None:
        """Post whether the restored directory exists."""
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
    """Return the field of a DATASET record: INENC1.VAL for "INENC1:VAL:DATASET"."""
    return record.removesuffix(_DATASET).replace(":", ".")


def _empty(is_text: bool, is_array: bool) -> Content:  # noqa: FBT001
    return "" if is_text else [] if is_array else 0
