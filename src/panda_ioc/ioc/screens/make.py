"""All screens of a plan."""

from collections.abc import Iterator, Mapping

from ..plan import designs as designplan
from ..plan.plan import Plan
from . import buses, data, designs, diagnostics, overview, wiring
from .blocks import PLOT, POSITIONS, block_screen
from .bob import bob
from .book import Book, Group
from .forms import OVERVIEW
from .overview import Place
from .tables import table_screen
from .widgets import Screen, file_name

#: Names of files that the screens of blocks cannot have.
_TAKEN = (
    *(OVERVIEW, data.DATA, buses.BITS, POSITIONS, wiring.WIRING, designs.DESIGNS, diagnostics.DIAGNOSTICS),
    PLOT,
)


def make_screens(plan: Plan) -> tuple[Screen, ...]:
    """All screens, the overview first: a pure function of the plan."""
    book = Book(plan)
    places = tuple(_places(book))
    others = {
        "Data": data.DATA,
        "Bits": buses.BITS,
        "Positions": POSITIONS,
        "Wiring": wiring.WIRING,
        "Designs": designs.DESIGNS,
        "Diagnostics": diagnostics.DIAGNOSTICS,
    }
    screens = [
        data.data(book),
        *([buses.bits(book)] if "BITS:0:CAPTURE" in book.records else []),
        *([buses.positions(book)] if book.captured else []),
        *([wiring.wiring(book)] if any(map(wiring.is_input, book.plan.records)) else []),
        *([designs.designs(book)] if designplan.NAME in book.records else []),
        diagnostics.diagnostics(book),
        *([data.column_plot(book)] if any(f"{one.name}:LIVE" in book.records for one in book.captured) else []),
    ]
    made = {screen.file for screen in screens}
    links = {text: file for text, file in others.items() if file in made}
    return (
        overview.overview(book, places, links),
        *screens,
        *(block_screen(book, place.group, place.file) for place in places),
        *(screen for place in places for screen in _tables(book, place.group)),
    )


def _places(book: Book) -> Iterator[Place]:
    """The types of blocks with names for their files, which differ also where case does not count."""
    taken = {name.lower() for name in _TAKEN}
    for group in book.groups:
        file = file_name(group.name)
        number = 2
        while file.lower() in taken:
            file = file_name(f"{group.name}-{number}")
            number += 1
        taken.add(file.lower())
        yield Place(group, file)


def _tables(book: Book, group: Group) -> Iterator[Screen]:
    instance = group.instances[0]
    for table in book.tables.values():
        if table.block == instance:
            field = table.name.removeprefix(f"{instance}:")
            yield table_screen(book, group, table, file_name(f"{group.name}_{field}"))


def as_files(plan: Plan) -> Mapping[str, str]:
    """Return all screens as the texts of their files, by the names of these."""
    return {screen.file: bob(screen) for screen in make_screens(plan)}
