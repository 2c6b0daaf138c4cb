"""Trying a design: what a simulated PandA does with it, as pictures, files and a report."""
