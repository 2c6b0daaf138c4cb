"""The plan of all PVs: plain data and pure functions, without servers or sockets."""
