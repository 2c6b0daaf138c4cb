"""The connection to the PandA: introspection, polls, reconnection."""
