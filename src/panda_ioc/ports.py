"""Default TCP ports of a PandA."""

CONTROL_PORT = 8888
DATA_PORT = 8889
