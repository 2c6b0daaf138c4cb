"""The servers for Channel Access and PV Access."""
