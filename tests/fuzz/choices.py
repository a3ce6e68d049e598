"""What the targets have in common: reading choices from a fuzzer's bytes, and running where trio is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs
import trio

T = TypeVar("T")


@attrs.define
class Choices:
    """A fuzzer's bytes, read from the front. At the end there are zeros and nothing."""

    data: bytes
    offset: int = 0

    def __bool__(self) -> bool:
        return self.offset < len(self.data)

    def byte(self) -> int:
        self.offset += 1
        return self.data[self.offset - 1] if self.offset <= len(self.data) else 0

    def pick(self, options: Sequence[T]) -> T:
        return options[self.byte() % len(options)]

    def sized(self) -> bytes:
        """A string with its length in two bytes before it; the last may be cut off."""
        size = self.byte() << 8 | self.byte()
        taken = self.data[self.offset : self.offset + size]
        self.offset += size
        return taken

    def rest(self) -> bytes:
        taken = self.data[self.offset :]
        self.offset = len(self.data)
        return taken


def sized(*parts: bytes) -> bytes:
    """What `Choices.sized` reads again."""
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def inside_trio(act: Callable[[], None]) -> None:
    """Run `act` where `trio.current_time` works: at once inside `trio.run`, else in one of its own."""
    if trio.lowlevel.in_trio_run():
        act()
        return

    async def run() -> None:
        act()

    trio.run(run)


def check_text(error: Exception) -> None:
    """What is shown to people has no control characters in it, whatever the input had."""
    assert str(error).isprintable(), error
