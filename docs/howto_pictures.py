"""Make the pictures of the how-to pages from their examples: python docs/howto_pictures.py.

The scenarios of a page are written to a temporary folder, its commands `try` and `wiring` run there, and the pictures
that the page shows are copied to docs/pictures. Pictures that no command makes are drawn by a function here.
"""

import argparse
import importlib
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import yaml
from click.testing import CliRunner

from panda_ioc.cli import main

DOCS = Path(__file__).parent

_YAML = re.compile(r"^```yaml\n(# ([\w-]+\.yaml)\n.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^panda-ioc ((?:try|wiring) .*)$", re.MULTILINE)
_PICTURE = re.compile(r"\]\(\.\./pictures/([\w-]+\.(?:png|svg))\)")

#: From a box to a box, with a text and a line style; and inches.
Arrow = tuple[str, str, str, str]
Size = tuple[float, float]

#: Scenario of `_draw_time_stamps`: PCAP is armed at 0; gate at TTLIN1, trigger at TTLIN2. Times in ms.
Pulses = tuple[tuple[float, float], ...]
_GATE: Pulses = ((1.0, 3.0), (4.0, 5.5), (8.0, 10.5))
_TRIGGERS: Pulses = ((6.5, 6.9), (12.0, 12.4))
_SETTINGS = (
    "PCAP.ENABLE=PCAP.ACTIVE",
    "PCAP.GATE=TTLIN1.VAL",
    "PCAP.TRIG=TTLIN2.VAL",
    *(f"PCAP.{field}.CAPTURE=Value" for field in ("TS_START", "TS_END", "TS_TRIG", "GATE_DURATION")),
)
_COLOURS = {"TS_START": "#20762b", "TS_END": "#b35900", "TS_TRIG": "#c01818"}


def _draw_time_stamps(path: Path) -> None:
    """Draw a gate and two triggers, with the time stamps that the simulated PCAP gives to them."""
    steps: list[dict[str, Any]] = [{"at": 0, "arm": {}}]
    for name, pulses in (("TTLIN1", _GATE), ("TTLIN2", _TRIGGERS)):
        for pulse in pulses:
            for at, high in zip(pulse, (True, False), strict=True):
                steps.append({"at": at / 1000, "level": {"input": name, "high": high}})
    steps.sort(key=lambda step: step["at"])
    scenario, captured = path.with_suffix(".yaml"), path.with_suffix(".h5")
    scenario.write_text(yaml.safe_dump({"settings": [*_SETTINGS], "steps": steps}), encoding="utf-8")
    _run(["try", "--scenario", str(scenario), "--for", "0.014", "--hdf5", str(captured)])
    with h5py.File(captured) as file:
        stamps = {name: 1000 * file[f"PCAP.{name}.Value"][:] for name in _COLOURS}
    figure, axis = _axes(12, 2.2)
    for row, (name, pulses) in enumerate((("PCAP:TRIG", _TRIGGERS), ("PCAP:GATE", _GATE))):
        edges = [-0.5, *(edge for pulse in pulses for edge in pulse), 14]
        levels = [row + 0.6 * (number % 2) for number in range(len(edges) - 1)]
        axis.step(edges, [*levels, row], where="post", color="#1f5fa8")
        axis.text(-0.7, row + 0.3, name, ha="right", va="center")
    for number, (name, colour) in enumerate(_COLOURS.items()):
        for sample, time in enumerate(stamps[name]):
            axis.axvline(time, ymax=0.82, color=colour, linestyle=":")
            axis.text(time, 1.95 + 0.28 * (number == 2), f"{name}[{sample}]", color=colour, ha="center", fontsize=9)
    axis.set(xlim=(-0.5, 14), ylim=(-0.1, 2.4), xlabel="time since PCAP was armed and enabled / ms", yticks=[])
    _save(figure, path)


def _draw_boxes(path: Path, boxes: Mapping[str, tuple[float, float, str]], arrows: Sequence[Arrow], size: Size) -> None:
    """Draw boxes at places, with texts, and arrows between them, with texts."""
    figure, axis = _axes(*size)
    axis.axis("off")
    frame = {"boxstyle": "round,pad=0.5", "facecolor": "#eef3fa", "edgecolor": "#1f5fa8"}
    patches = {
        name: axis.text(x, y, text, ha="center", va="center", bbox=frame, zorder=3).get_bbox_patch()
        for name, (x, y, text) in boxes.items()
    }
    for begin, end, text, style in arrows:
        (x1, y1, _), (x2, y2, _) = boxes[begin], boxes[end]
        line = {"arrowstyle": "->", "color": "#333333", "linestyle": style, "shrinkA": 2, "shrinkB": 2}
        axis.annotate("", (x2, y2), (x1, y1), arrowprops=line | {"patchA": patches[begin], "patchB": patches[end]})
        around = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axis.text(
            (x1 + x2) / 2, (y1 + y2) / 2, text, ha="center", va="center", fontsize=8, bbox=around if text else None
        )
    xs, ys = [x for x, _, _ in boxes.values()], [y for _, y, _ in boxes.values()]
    axis.set(xlim=(min(xs) - 1, max(xs) + 1), ylim=(min(ys) - 0.6, max(ys) + 0.6))
    _save(figure, path)


def _draw_networks(path: Path) -> None:
    boxes = {
        "near": (0, 2, "client\nin the subnet"),
        "far": (0, 0, "client\nanywhere"),
        "ioc": (5, 1, "IOC"),
        "panda": (8, 1, "PandA"),
    }
    arrows: list[Arrow] = [
        ("near", "ioc", "broadcast: UDP 5064, 5076\nthen TCP 5064, 5075", "-"),
        ("far", "ioc", "name server: TCP 5064, 5075", "-"),
        ("ioc", "panda", "TCP\n8888, 8889", "-"),
    ]
    _draw_boxes(path, boxes, arrows, (9, 2.8))


def _draw_gateways(path: Path) -> None:
    boxes = {
        "a": (0, 2, "Phoebus"),
        "b": (0, 0, "bluesky"),
        "ca": (4, 2, "CA gateway"),
        "pva": (4, 0, "PVA gateway\n(pvagw)"),
        "one": (8, 2, "IOC 1"),
        "two": (8, 0, "IOC 2"),
    }
    arrows: list[Arrow] = [("a", "ca", "TCP 5064", "-"), ("a", "pva", "", "-"), ("b", "pva", "TCP 5075", "-")]
    arrows += [(gate, ioc, "", "-") for gate in ("ca", "pva") for ioc in ("one", "two")]
    _draw_boxes(path, boxes, arrows, (9, 2.8))


def _draw_scan_software(path: Path) -> None:
    boxes = {
        "bluesky": (0, 1, "bluesky\n(HDFPanda)"),
        "ioc": (4, 2, "panda-ioc"),
        "panda": (8, 2, "PandA"),
        "file": (4, 0, "HDF5 file"),
        "tiled": (8, 0, "Tiled"),
    }
    arrows: list[Arrow] = [
        ("bluesky", "ioc", "PV Access", "-"),
        ("ioc", "panda", "control, data", "-"),
        ("ioc", "file", "writes", "-"),
        ("bluesky", "file", "where it is", ":"),
        ("file", "tiled", "reads", "-"),
    ]
    _draw_boxes(path, boxes, arrows, (9, 2.8))


def _draw_chain(path: Path) -> None:
    boxes = {
        "source": (0.0, 0.0, "source\nPCOMP1.OUT"),
        "pcap": (3.0, 0.0, "PCAP\nACTIVE, HEALTH"),
        "port": (6.0, 0.0, "data port\nNUM_RECEIVED"),
        "queue": (9.0, 0.0, "queue\nQUEUE_USE"),
        "file": (12.0, 0.0, "file\nNUM_CAPTURED"),
    }
    arrows: list[Arrow] = [
        ("source", "pcap", "TRIG,\nENABLE", "-"),
        ("pcap", "port", "CAPTURE of\neach field", "-"),
        ("port", "queue", "", "-"),
        ("queue", "file", "FLUSH_PERIOD", "-"),
    ]
    _draw_boxes(path, boxes, arrows, (11, 1.6))


#: Scenario of `_draw_raw`: what the page captures, as a hundred samples.
_RAW = (
    "CLOCK1.PERIOD=0.001",
    "CLOCK1.ENABLE=PCAP.ACTIVE",
    "COUNTER1.TRIG=CLOCK1.OUT",
    "COUNTER1.ENABLE=PCAP.ACTIVE",
    "COUNTER1.OUT.SCALE=0.5",
    "COUNTER1.OUT.UNITS=mm",
    "PCAP.ENABLE=ONE",
    "PCAP.TRIG=CLOCK1.OUT",
    "COUNTER1.OUT.CAPTURE=Value",
    "PCAP.TS_TRIG.CAPTURE=Value",
)


def _draw_raw(path: Path) -> None:
    """Plot a captured file."""
    scenario, captured = path.with_suffix(".yaml"), path.with_suffix(".h5")
    scenario.write_text(yaml.safe_dump({"settings": [*_RAW]}), encoding="utf-8")
    _run(["try", "--scenario", str(scenario), "--for", "0.1", "--hdf5", str(captured)])
    _run(["plot", str(captured), "-c", "COUNTER1.OUT.Value", "-o", str(path)])


def _axes(width: float, height: float) -> tuple[Any, Any]:
    mpl = importlib.import_module("matplotlib")
    mpl.use("agg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "panda-ioc", "font.family": "sans-serif"})
    plt: Any = importlib.import_module("matplotlib.pyplot")
    figure, axis = plt.subplots(figsize=(width, height), layout="constrained")
    axis.spines[["top", "right", "left"]].set_visible(False)
    return figure, axis


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})


#: Pictures that are drawn here, by name.
DRAWN: dict[str, Callable[[Path], None]] = {
    "time-stamps.svg": _draw_time_stamps,
    "networks.svg": _draw_networks,
    "gateways.svg": _draw_gateways,
    "scan-software.svg": _draw_scan_software,
    "raw.png": _draw_raw,
    "capture-chain.svg": _draw_chain,
}


def make(page: Path, into: Path) -> list[str]:
    """Make the pictures that a page shows and its own commands make, or that are drawn here; return their names."""
    text = page.read_text(encoding="utf-8")
    made = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for scenario, name in _YAML.findall(text):
            (folder / name).write_text(scenario, encoding="utf-8")
        for command in _COMMAND.findall(text):
            if "--picture" in command or command.startswith("wiring"):
                _run([_located(word, folder) for word in shlex.split(command)])
        for name in _PICTURE.findall(text):
            if name in DRAWN:
                DRAWN[name](folder / name)
            if (folder / name).exists():
                shutil.copy(folder / name, into / name)
                made.append(name)
    return made


def _located(word: str, folder: Path) -> str:
    return str(folder / word) if re.fullmatch(r"[\w-]+\.(yaml|png|svg)", word) else word


def _run(words: list[str]) -> None:
    result = CliRunner().invoke(main, words)
    if result.exit_code:
        raise SystemExit(f"{shlex.join(words)}: {result.output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path, default=sorted((DOCS / "how-to").glob("*.md")))
    for page in parser.parse_args().pages:
        make(page, DOCS / "pictures")
