"""The ports of a PandA, unless it is told otherwise."""

CONTROL_PORT = 8888
DATA_PORT = 8889
