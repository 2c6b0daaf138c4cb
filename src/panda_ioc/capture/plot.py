"""Plot of the columns of a captured file against time."""

import contextlib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..protocol import PandaError
from .errors import CaptureError
from .growingfile import DAMAGED, open_to_read
from .live import TIMES
from .reading import column_of, physical_values

#: Outliers: values farther from these percentiles than this number of half ranges between them.
_MOST, _FAR = (10, 90), 20

#: Minimum number of values for which outliers (up to 1 %, at least one) may be outside the axis range.
_ENOUGH = 10

#: Maximum number of points to draw. Of longer columns, every nth value is drawn.
_MAX_POINTS = 100_000


def draw(file: Path, output: Path | None, chosen: Sequence[str] = ()) -> None:
    """Plot columns of a file, one above the other.

    Args:
        file: file written by `HdfFile`; it may still be written to
        output: image file, whose suffix selects the format; None to open a window
        chosen: dataset names; empty for all

    Raises:
        CaptureError: the file has no samples or lacks a dataset, an image or a window is not possible, or matplotlib
            is not installed
    """
    try:
        plt = load_pyplot(output)
    except ImportError as error:
        raise CaptureError(f"plots need the package matplotlib: pip install 'panda-ioc[plot]' ({error})") from error
    if plt is None:
        raise CaptureError("cannot open a window: give an image file")
    with contextlib.suppress(ImportError):  # needed for lz4 and zstd only
        importlib.import_module("hdf5plugin")
    try:
        with open_to_read(file) as opened:
            columns = {name: opened[name] for name in opened if isinstance(opened[name], h5py.Dataset)}
            shown = _chosen(columns, chosen, file)
            rows = min((len(dataset) for dataset in shown.values()), default=0)
            if not rows:
                raise CaptureError(f"{file} has no samples")
            part = slice(0, rows, max(1, -(-rows // _MAX_POINTS)))
            time, label = _time(columns, part, rows)
            values = {name: physical_values(dataset, columns, part) for name, dataset in shown.items()}
            figure, axes = plt.subplots(len(shown), sharex=True, squeeze=False, figsize=(10, 1.5 + 1.8 * len(shown)))
            for axis, (name, dataset) in zip(axes[:, 0], shown.items(), strict=True):
                axis.plot(time, values[name], linewidth=1)
                units = dataset.attrs.get("scaled_units", dataset.attrs.get("units", ""))
                axis.set_ylabel(f"{name}\n{units}".strip(), fontsize="small")
                axis.grid(visible=True, alpha=0.3)
                _show_most(axis, values[name])
    except DAMAGED as error:
        raise CaptureError(f"cannot read {file}: {error}") from error
    axes[-1, 0].set_xlabel(label)
    figure.suptitle(file.name)
    figure.tight_layout()
    finish(plt, figure, output, 100, CaptureError)


def _show_most(axis: Any, values: Any) -> None:
    """Set the axis range without outliers, such as the Max of an empty gate; show the number of values outside."""
    finite = values[np.isfinite(values)]
    if len(finite) < _ENOUGH:
        return
    low, high = np.percentile(finite, _MOST, method="nearest")
    margin = 0.5 * (high - low) or max(abs(high), 1.0)
    is_far = (finite < low - _FAR * margin) | (finite > high + _FAR * margin)
    outside = int(np.count_nonzero(is_far))
    if 0 < outside <= max(1, len(finite) // 100):
        near = finite[~is_far]
        margin = 0.05 * (near.max() - near.min()) or max(abs(high), 1.0)
        axis.set_ylim(near.min() - margin, near.max() + margin)
        axis.set_title(f"{outside} of {len(values)} values: outside", fontsize="x-small", loc="right")


def load_pyplot(output: Path | None) -> Any:
    """Import matplotlib for an image file or a window; return its pyplot, or None if no window can be opened.

    Args:
        output: image file; None for a window

    Raises:
        ImportError: matplotlib is not installed
    """
    mpl = importlib.import_module("matplotlib")
    if output is not None:
        mpl.use("agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    return None if output is None and pyplot.get_backend().lower() == "agg" else pyplot


def finish(pyplot: Any, figure: Any, output: Path | None, dpi: int, problem: type[PandaError]) -> None:
    """Save a figure to an image file, or show it until its window is closed; then close it.

    Args:
        pyplot: return value of `load_pyplot`
        figure: the figure
        output: image file, whose suffix selects the format; None for a window
        dpi: pixels per inch of the image
        problem: type of the error to raise

    Raises:
        PandaError: the file cannot be written, or matplotlib does not know its format
    """
    try:
        if output is None:
            pyplot.show()
        else:
            figure.savefig(output, dpi=dpi)
    except (OSError, ValueError) as error:
        raise problem(f"cannot write {output}: {getattr(error, 'strerror', None) or error}") from error
    finally:
        pyplot.close(figure)


def _chosen(columns: dict[str, Any], chosen: Sequence[str], file: Path) -> dict[str, Any]:
    if unknown := [name for name in chosen if name not in columns]:
        raise CaptureError(f"{file} has no column {', '.join(unknown)}; it has {', '.join(columns) or 'none'}")
    if chosen:
        return {name: columns[name] for name in chosen}
    return {name: dataset for name, dataset in columns.items() if column_of(dataset) not in TIMES} or columns


def _time(columns: dict[str, Any], part: slice, rows: int) -> tuple[Any, str]:
    for wanted in TIMES:
        for dataset in columns.values():
            if column_of(dataset) == wanted:
                return physical_values(dataset, columns, part), "time in s"
    return np.arange(rows)[part], "sample"
