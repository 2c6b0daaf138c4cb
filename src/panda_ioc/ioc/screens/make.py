"""The set of all screens of a plan."""

from collections.abc import Iterator, Mapping

from ..plan import designs as designplan
from ..plan.plan import Plan
from . import buses, data, designs, diagnostics, overview, wiring
from .blocks import PLOT, POSITIONS, block_screen
from .bob import bob
from .forms import OVERVIEW
from .index import BlockType, PlanIndex
from .overview import BlockScreen
from .tables import table_screen
from .widgets import Screen, file_name

#: File names that block screens cannot have.
_TAKEN = (
    *(OVERVIEW, data.DATA, buses.BITS, POSITIONS, wiring.WIRING, designs.DESIGNS, diagnostics.DIAGNOSTICS),
    PLOT,
)


def make_screens(plan: Plan) -> tuple[Screen, ...]:
    """Return all screens of a plan, the overview first."""
    index = PlanIndex(plan)
    block_screens = tuple(_block_screens(index))
    others = {
        "Data": data.DATA,
        "Bits": buses.BITS,
        "Positions": POSITIONS,
        "Wiring": wiring.WIRING,
        "Designs": designs.DESIGNS,
        "Diagnostics": diagnostics.DIAGNOSTICS,
    }
    screens = [
        data.data(index),
        *([buses.bits(index)] if "BITS:0:CAPTURE" in index.records else []),
        *([buses.positions(index)] if index.captured else []),
        *([wiring.wiring(index)] if any(map(wiring.is_input, index.plan.records)) else []),
        *([designs.designs(index)] if designplan.NAME in index.records else []),
        diagnostics.diagnostics(index),
        *([data.column_plot(index)] if any(f"{one.name}:LIVE" in index.records for one in index.captured) else []),
    ]
    made = {screen.file for screen in screens}
    links = {text: file for text, file in others.items() if file in made}
    return (
        overview.overview(index, block_screens, links),
        *screens,
        *(block_screen(index, item.block_type, item.file) for item in block_screens),
        *(screen for item in block_screens for screen in _tables(index, item.block_type)),
    )


def _block_screens(index: PlanIndex) -> Iterator[BlockScreen]:
    """Yield the block types with file names that are unique without regard to case."""
    taken = {name.lower() for name in _TAKEN}
    for block_type in index.block_types:
        file = file_name(block_type.name)
        number = 2
        while file.lower() in taken:
            file = file_name(f"{block_type.name}-{number}")
            number += 1
        taken.add(file.lower())
        yield BlockScreen(block_type, file)


def _tables(index: PlanIndex, block_type: BlockType) -> Iterator[Screen]:
    instance = block_type.instances[0]
    for table in index.tables.values():
        if table.block == instance:
            field = table.name.removeprefix(f"{instance}:")
            yield table_screen(index, block_type, table, file_name(f"{block_type.name}_{field}"))


def as_files(plan: Plan) -> Mapping[str, str]:
    """Return the texts of all screens by file name."""
    return {screen.file: bob(screen) for screen in make_screens(plan)}
