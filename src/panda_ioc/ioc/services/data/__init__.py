"""Captures to files and the live view as PVs."""
