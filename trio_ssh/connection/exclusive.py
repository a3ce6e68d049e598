"""One task at a time: what trio's streams do when two tasks send, or two receive, at once."""

from __future__ import annotations

import trio


class Exclusive:
    """``with exclusive:`` raises `trio.BusyResourceError` while another task is inside."""

    __slots__ = ("_held", "_text")

    def __init__(self, text: str) -> None:
        self._held = False
        self._text = text

    def __enter__(self) -> None:
        if self._held:
            raise trio.BusyResourceError(self._text)
        self._held = True

    def __exit__(self, *exc_info: object) -> None:
        self._held = False
