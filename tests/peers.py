"""Two ends of the protocol, joined without sockets."""

from typing import Any

from panda_ioc.protocol import Command, ControlConnection
from panda_ioc.simulator import DeviceSpec, Panda, load
from panda_ioc.simulator.capture import Capture
from panda_ioc.simulator.session import Session
from panda_ioc.simulator.system import Context


class Peers:
    """A control connection and the simulated PandA at its other end."""

    def __init__(self, spec: DeviceSpec | None = None, panda: Panda | None = None) -> None:
        self.panda = panda or Panda(spec or load())
        self.session = Session(Context(self.panda, Capture(self.panda)))
        self.connection = ControlConnection()
        self.sent = b""

    def ask(self, command: Command[Any]) -> Any:
        """The response to a command; errors are raised."""
        to_send = self.connection.send(command)
        while to_send:
            self.sent += to_send
            replies = [reply for reply in self.session.receive(to_send) if reply]
            to_send = b"".join(self.connection.receive_bytes(reply) for reply in replies)
        ((_, response),) = self.connection.responses()
        if isinstance(response, Exception):
            raise response
        return response

    def say(self, *lines: str) -> list[str]:
        """Return the reply of the PandA to raw lines."""
        data = "".join(f"{line}\n" for line in lines).encode()
        return b"".join(self.session.receive(data)).decode().splitlines()
