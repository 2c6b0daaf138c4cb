"""The Channel Access server, based on softioc."""
