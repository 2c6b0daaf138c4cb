"""The states of both connections, and one table of what leads from one to another.

A control connection begins OPEN; a data connection begins IDLE, as its options must be sent first. CLOSED and
ERROR are final: what a server says after it broke the protocol means nothing, so nothing is made of it.
"""

from collections.abc import Mapping
from enum import Enum, auto

from .errors import LocalProtocolError


class ConnectionState(Enum):
    """What a connection can do.

    IDLE: a data connection whose options have not been sent
    NEGOTIATING: its options have been sent, and the server has not answered them
    OPEN: commands can be sent; on a data connection, no acquisition has begun, or the last one has ended
    ACQUIRING: an acquisition has begun and not ended; data connections only
    CLOSED: the server ended the stream
    ERROR: the server broke the protocol, or refused the options
    """

    IDLE = auto()
    NEGOTIATING = auto()
    OPEN = auto()
    ACQUIRING = auto()
    CLOSED = auto()
    ERROR = auto()


class Transition(Enum):
    """What changes the state of a connection."""

    OPTIONS_SENT = auto()
    OPTIONS_ACCEPTED = auto()
    ACQUISITION_STARTED = auto()
    ACQUISITION_ENDED = auto()
    STREAM_ENDED = auto()
    FAILED = auto()


_STATES = ConnectionState

#: The state that follows; a pair that is not here is a mistake of the caller.
TRANSITIONS: Mapping[tuple[ConnectionState, Transition], ConnectionState] = {
    (_STATES.IDLE, Transition.OPTIONS_SENT): _STATES.NEGOTIATING,
    (_STATES.NEGOTIATING, Transition.OPTIONS_ACCEPTED): _STATES.OPEN,
    (_STATES.NEGOTIATING, Transition.STREAM_ENDED): _STATES.CLOSED,
    (_STATES.NEGOTIATING, Transition.FAILED): _STATES.ERROR,
    (_STATES.OPEN, Transition.ACQUISITION_STARTED): _STATES.ACQUIRING,
    (_STATES.OPEN, Transition.STREAM_ENDED): _STATES.CLOSED,
    (_STATES.OPEN, Transition.FAILED): _STATES.ERROR,
    (_STATES.ACQUIRING, Transition.ACQUISITION_ENDED): _STATES.OPEN,
    (_STATES.ACQUIRING, Transition.STREAM_ENDED): _STATES.CLOSED,
    (_STATES.ACQUIRING, Transition.FAILED): _STATES.ERROR,
}

#: The states in which a server may send something.
RECEIVING = frozenset({_STATES.NEGOTIATING, _STATES.OPEN, _STATES.ACQUIRING})


class Lifecycle:
    """The state of one connection.

    Args:
        state: the first one
        name: of the connection, for messages

    Attributes:
        state: where it is now
        reason: why it is in ERROR; "" otherwise
    """

    def __init__(self, state: ConnectionState, name: str) -> None:
        self.state = state
        self.reason = ""
        self._name = name

    def go(self, transition: Transition, reason: str = "") -> None:
        """Follow the table.

        Args:
            transition: what happened
            reason: why, for FAILED

        Raises:
            LocalProtocolError: the table has nothing for it
        """
        following = TRANSITIONS.get((self.state, transition))
        if following is None:
            raise LocalProtocolError(f"{transition.name.lower()} is not possible: {self.described}")
        self.state, self.reason = following, reason

    def check_receiving(self) -> None:
        """Check that the server may send something.

        Raises:
            LocalProtocolError: it may not
        """
        if self.state not in RECEIVING:
            raise LocalProtocolError(f"cannot receive: {self.described}")

    @property
    def described(self) -> str:
        """The state as a message tells it."""
        if self.state is ConnectionState.ERROR:
            return f"the {self._name} is broken: {self.reason}"
        return f"the {self._name} is {self.state.name.lower()}"
