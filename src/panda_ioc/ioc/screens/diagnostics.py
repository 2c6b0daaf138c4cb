"""The screen of IOC diagnostics: connection, polls, puts, queues."""

from ..plan import status
from .forms import Row, columns, flow, panel, title
from .index import PlanIndex
from .overview import button, record_rows
from .widgets import GAP, MARGIN, ROW, Plot, Screen, Shape, Trace, Widget

DIAGNOSTICS = "Diagnostics.bob"

_CONNECTION = {
    status.CONNECTION: "Connection",
    status.CONNECTION_TEXT: "Message",
    status.RECONNECTS: "Reconnects",
    status.UPTIME: "Uptime",
    "SYSTEM:IOC_VERSION": "IOC version",
}
_PUTS = {
    status.PUTS_ACCEPTED: "Accepted",
    status.PUTS_REFUSED: "Refused",
    status.LAST_REFUSED: "Last refused",
}
_POLLS = {status.POLL_PERIOD: "Period", status.POLL_DURATION: "Duration"}
_QUEUE = {
    "DATA:CONNECTION": "Data connection",
    "DATA:QUEUE_USE": "Queue use",
    "DATA:DROPPED": "Dropped",
    "DATA:MISSED": "Missed",
    "DATA:BYTE_RATE": "Byte rate",
}


def _restart() -> Row:
    text = "End the IOC process; its supervisor restarts it"
    question = "Restart the IOC? A running capture ends; the PandA continues to run."
    return Row("Restart", (button("Restart", f"$(P):{status.RESTART}", "1", 90, text, confirm=question),))


def diagnostics(index: PlanIndex) -> Screen:
    """Return the screen of IOC diagnostics."""
    top = MARGIN + ROW + 2 * GAP
    panels = flow(
        [
            panel("Connection", columns([*record_rows(index, _CONNECTION, 330), _restart()])),
            panel("Polls", columns(record_rows(index, _POLLS)), 220),
            panel("Data", columns(record_rows(index, _QUEUE))),
        ],
        10000,
        top,
    )
    below = max(widget.bottom for widget in panels) + GAP
    right = max(widget.right for widget in panels)
    puts = panel("Puts", columns(record_rows(index, _PUTS, right - 200)), right - MARGIN).at(MARGIN, below)
    traces = (
        Trace("poll period", f"pva://$(P):{status.POLL_PERIOD}"),
        Trace("poll duration", f"pva://$(P):{status.POLL_DURATION}"),
        Trace("queue use", "pva://$(P):DATA:QUEUE_USE", axis=1),
    )
    chart = Widget(
        Shape.STRIP,
        MARGIN,
        puts.bottom + GAP,
        right - MARGIN,
        260,
        text="Last 5 minutes",
        plot=Plot(traces, "", ("ms", "%")),
    )
    widgets = (*title("Diagnostics"), *panels, puts, chart)
    return Screen(DIAGNOSTICS, "Diagnostics", widgets, macros=(("P", index.plan.prefix),))
