"""The IOC: serve a PandA as EPICS process variables."""
