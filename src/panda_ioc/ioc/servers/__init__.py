"""Channel Access and PV Access, and what joins them."""
