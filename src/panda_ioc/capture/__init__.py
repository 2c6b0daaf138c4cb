"""What happens to captured data: scaling, files, live views. Knows no EPICS."""
