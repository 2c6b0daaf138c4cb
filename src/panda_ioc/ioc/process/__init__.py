"""The process of the IOC: start, shutdown, configuration, state on disk, monitoring."""
