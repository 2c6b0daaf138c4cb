"""The PV Access server, based on p4p."""
