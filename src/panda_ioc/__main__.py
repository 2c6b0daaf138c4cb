"""`python -m panda_ioc` is `panda-ioc`."""

from .cli import main

main()
