"""Drop-in replacements for other libraries, based on panda_ioc."""
