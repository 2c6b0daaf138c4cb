"""PV Access, by p4p."""
