"""Modules with the names and results of other libraries, over this project's own connections."""
