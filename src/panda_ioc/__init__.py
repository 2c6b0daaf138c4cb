"""The software through which a beamline uses a PandA: client library, EPICS IOC, and a PandA in software."""

__version__ = "0.1.0"
