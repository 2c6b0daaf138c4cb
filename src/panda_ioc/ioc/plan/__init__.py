"""What is served, as plain data and pure functions: no server, no socket."""
