"""What the log says, and how often."""

from panda_ioc.ioc.log import Repeated


def test_what_goes_wrong_again_and_again_is_told_once_an_hour() -> None:
    now = 0.0
    said: list[str] = []
    warning = Repeated(said.append, lambda: now)
    for _ in range(2 * 360):
        warning.tell("refused")
        now += 10
    assert said == ["refused", "refused (still so, 361 times by now)"]
    for text in ("silent", "silent", "refused"):
        warning.tell(text)
    assert said[2:] == ["silent", "refused"]
