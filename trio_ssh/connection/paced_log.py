"""A log that strangers cannot flood: so many records a second, and then one that says how many were left out (hardening RES-29)."""

from __future__ import annotations

import logging

import attrs
import trio


@attrs.define(eq=False)
class PacedLog:
    """Takes records like a logger; `per_second` of them pass in any second of the clock."""

    logger: logging.Logger
    per_second: int
    _second: int = -1
    _passed: int = 0
    _left_out: int = 0

    def info(self, text: str, *args: object) -> None:
        self.log(logging.INFO, text, *args)

    def warning(self, text: str, *args: object) -> None:
        self.log(logging.WARNING, text, *args)

    def error(self, text: str, *args: object, cause: BaseException) -> None:
        """With the traceback of `cause`."""
        self.log(logging.ERROR, text, *args, cause=cause)

    def log(self, level: int, text: str, *args: object, cause: BaseException | None = None) -> None:
        if not self.logger.isEnabledFor(level):
            return
        second = int(trio.current_time())
        if second != self._second:
            self._second, self._passed = second, 0
        if self._passed >= self.per_second:
            self._left_out += 1
            return
        if self._left_out:
            self.logger.warning("%d records were left out", self._left_out)
            self._left_out = 0
            self._passed += 1
        self._passed += 1
        self.logger.log(level, text, *args, exc_info=cause)
