"""Measure trials: a snake scan of 100 lines of 1000 points with 8 columns, and an idle hour.

Each case runs in a separate process, to measure its peak memory. "All products" are the HDF5 file, the report, the VCD
file and the picture of `panda-ioc try`. The other cases have only the simulation, the recording and the file.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.trial.designs import snake

from panda_ioc.simulator import load
from panda_ioc.trial import signals, timing, vcd
from panda_ioc.trial.report import as_text, report
from panda_ioc.trial.run import Plan, run


def scan(*, products: bool, lines: int = 100, points: int = 1000) -> dict[str, float]:
    design, scenario, seconds = snake(lines, points)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Plan(load(), design, scenario, seconds), Path(folder) / "x.h5")
        if products:
            names = signals.split(outcome, signals.chosen(outcome, []))[0]
            as_text(report(outcome, names))
            timing.draw(outcome, names, Path(folder) / "x.png")
            vcd.write(outcome, names, Path(folder) / "x.vcd")
    assert outcome.samples == lines * points
    return {**_cost(began), "simulated seconds": seconds, "events": outcome.simulation.engine.events}


def idle() -> dict[str, float]:
    began = time.process_time()
    outcome = run(Plan(load(), seconds=3600))
    assert outcome.seconds(outcome.end) == 3600
    return _cost(began)


def _cost(began: float) -> dict[str, float]:
    took = time.process_time() - began
    return {"seconds of a core": took, "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def apart(measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Measure in a separate process."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(measure()))
    process.start()
    result: dict[str, float] = receiver.recv()
    process.join()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, Callable[[], dict[str, float]]] = {
        "snake scan": lambda: scan(products=False),
        "snake scan, all products": lambda: scan(products=True),
        "an idle hour": idle,
    }
    results = {}
    for name, measure in figures.items():
        runs = [apart(measure) for _ in range(options.runs)]
        results[name] = {figure: statistics.median(one[figure] for one in runs) for figure in runs[0]}
        if not options.json:
            print(
                f"{name:28} {', '.join(f'{figure} {value:.4g}' for figure, value in results[name].items())}", flush=True
            )
    if options.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
