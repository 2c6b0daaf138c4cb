"""A client library, an EPICS IOC and a simulator for PandA."""

__version__ = "0.1.0"
