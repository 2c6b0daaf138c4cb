"""State machine of control and data connections.

A control connection starts in OPEN. A data connection starts in IDLE, because its options must be sent first. CLOSED
and ERROR are final: data received after a protocol error cannot be interpreted.
"""

from collections.abc import Mapping
from enum import Enum, auto

from .errors import LocalProtocolError


class ConnectionState(Enum):
    """The state of a connection.

    Attributes:
        IDLE: data connection whose options have not been sent
        NEGOTIATING: data connection that waits for the reply to its options
        OPEN: control connection that accepts commands; data connection between acquisitions
        ACQUIRING: data connection within an acquisition
        CLOSED: the server closed the connection
        ERROR: the server violated the protocol or refused the options
    """

    IDLE = auto()
    NEGOTIATING = auto()
    OPEN = auto()
    ACQUIRING = auto()
    CLOSED = auto()
    ERROR = auto()

    #: States are looked up for every read. Members are compared by identity, and Enum's own hash is slow.
    __hash__ = object.__hash__


class Transition(Enum):
    """An event that changes the state of a connection."""

    OPTIONS_SENT = auto()
    OPTIONS_ACCEPTED = auto()
    ACQUISITION_STARTED = auto()
    ACQUISITION_ENDED = auto()
    STREAM_ENDED = auto()
    FAILED = auto()


_STATES = ConnectionState

#: Next state for each (state, transition). Other pairs are errors of the caller.
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

#: States in which the server may send data.
RECEIVING = frozenset({_STATES.NEGOTIATING, _STATES.OPEN, _STATES.ACQUIRING})


class Lifecycle:
    """The state of one connection.

    Args:
        state: initial state
        name: name of the connection in error messages

    Attributes:
        state: current state
        reason: cause of the state ERROR; "" in other states
    """

    def __init__(self, state: ConnectionState, name: str) -> None:
        self.state = state
        self.reason = ""
        self._name = name

    def go(self, transition: Transition, reason: str = "") -> None:
        """Change the state.

        Args:
            transition: event that occurred
            reason: cause, for FAILED

        Raises:
            LocalProtocolError: TRANSITIONS has no entry for the current state and this transition
        """
        following = TRANSITIONS.get((self.state, transition))
        if following is None:
            raise LocalProtocolError(f"invalid transition {transition.name.lower()}: {self.described}")
        self.state, self.reason = following, reason

    def check_receiving(self) -> None:
        """Check that the connection can receive data.

        Raises:
            LocalProtocolError: the connection is idle, closed or in error
        """
        if self.state not in RECEIVING:
            raise LocalProtocolError(f"cannot receive: {self.described}")

    @property
    def described(self) -> str:
        """The state as text for error messages."""
        if self.state is ConnectionState.ERROR:
            return f"the {self._name} failed: {self.reason}"
        return f"the {self._name} is {self.state.name.lower()}"
