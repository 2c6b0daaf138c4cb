"""A PandA as EPICS process variables."""
