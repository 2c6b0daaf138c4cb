"""How long to wait before each attempt to connect."""

import random
from collections.abc import Iterator

#: Seconds: the first pause, and the longest.
_SHORTEST, _LONGEST = 0.5, 10.0


def delays() -> Iterator[float]:
    """Seconds to wait before each attempt: doubling, shortened at random by up to a half, without end."""
    delay = _SHORTEST
    while True:
        yield delay * random.uniform(0.5, 1)
        delay = min(2 * delay, _LONGEST)
