"""Captured data as process variables: what is to be captured, into which file, how it goes, and a live view."""
