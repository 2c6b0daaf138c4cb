"""How the IOC is: connection, polls, puts, queues."""

from ..plan import status
from .book import Book
from .forms import Row, columns, flow, panel, title
from .overview import button, rows_of
from .widgets import GAP, MARGIN, ROW, Plot, Screen, Shape, Trace, Widget

DIAGNOSTICS = "Diagnostics.bob"

_CONNECTION = {
    status.CONNECTION: "Connection",
    status.CONNECTION_TEXT: "in words",
    status.RECONNECTS: "Reconnects",
    status.UPTIME: "Up for",
    "SYSTEM:IOC_VERSION": "Version of the IOC",
}
_PUTS = {
    status.PUTS_ACCEPTED: "Accepted",
    status.PUTS_REFUSED: "Refused",
    status.LAST_REFUSED: "Last refused",
}
_POLLS = {status.POLL_PERIOD: "Period", status.POLL_DURATION: "Duration"}
_QUEUE = {
    "DATA:CONNECTION": "Data connection",
    "DATA:QUEUE_USE": "Queue",
    "DATA:DROPPED": "Dropped",
    "DATA:MISSED": "Missed",
    "DATA:BYTE_RATE": "Data rate",
}


def _restart() -> Row:
    text = "End the IOC, to be started anew by whatever runs it"
    ask = "End the IOC? A capture ends with it; the PandA goes on."
    return Row("Restart", (button("Restart", f"$(P):{status.RESTART}", "1", 90, text, confirm=ask),))


def diagnostics(book: Book) -> Screen:
    """How the IOC is."""
    top = MARGIN + ROW + 2 * GAP
    panels = flow(
        [
            panel("Connection", columns([*rows_of(book, _CONNECTION, 330), _restart()])),
            panel("Polls", columns(rows_of(book, _POLLS)), 220),
            panel("Data", columns(rows_of(book, _QUEUE))),
        ],
        10000,
        top,
    )
    below = max(widget.bottom for widget in panels) + GAP
    right = max(widget.right for widget in panels)
    puts = panel("Puts", columns(rows_of(book, _PUTS, right - 200)), right - MARGIN).at(MARGIN, below)
    traces = (
        Trace("period of polls", f"pva://$(P):{status.POLL_PERIOD}"),
        Trace("duration of polls", f"pva://$(P):{status.POLL_DURATION}"),
        Trace("queue", "pva://$(P):DATA:QUEUE_USE", axis=1),
    )
    chart = Widget(
        Shape.STRIP,
        MARGIN,
        puts.bottom + GAP,
        right - MARGIN,
        260,
        text="The last five minutes",
        plot=Plot(traces, "", ("ms", "%")),
    )
    widgets = (*title("Diagnostics"), *panels, puts, chart)
    return Screen(DIAGNOSTICS, "Diagnostics", widgets, macros=(("P", book.plan.prefix),))
