"""Services: the parts of the IOC that own PVs and execute puts to them."""
