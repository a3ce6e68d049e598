"""A file whose content counts as it is now: read once, and again whenever it has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

import attrs
import trio

from ..errors import KeyFileError, printable
from ..keys.files import FileMark, file_mark

T = TypeVar("T")


@attrs.define(eq=False)
class WatchedFile(Generic[T]):
    """Made by `of`, which reads it for the first time."""

    path: str
    read: Callable[[str], T]
    """Is called in a thread."""
    content: T
    _mark: FileMark | None

    @classmethod
    def of(cls, path: str | os.PathLike[str], read: Callable[[str], T]) -> WatchedFile[T]:
        """Raises what `read` raises."""
        name = os.fspath(path)
        mark = file_mark(name)  # before it is read: a change in between is seen the next time
        return cls(name, read, read(name), mark)

    async def current(self) -> T:
        """Raises `KeyFileError` if it is gone, and what `read` raises."""
        mark = file_mark(self.path)
        if mark is None:
            raise KeyFileError(f"{printable(self.path)} is gone: nobody is let in by it", path=self.path)
        if mark != self._mark:
            self.content = await trio.to_thread.run_sync(self.read, self.path)
            self._mark = mark
        return self.content
