"""Channel Access, by softioc."""
