"""The process: start, stop, configuration, state on disk, watching."""
