"""Errors that come from within: raised at the call of a function of the package, without anything in the package being replaced.

The interpreter's profile hook is asked at each call; what it raises comes out of the function that was being called.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType

import attrs

import trio_ssh

GENERATORS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
PACKAGE = str(Path(trio_ssh.__file__).parent)

ours: ContextVar[bool] = ContextVar("ours", default=False)
"""Set it in the task that runs the side to be hit: the tasks that it starts inherit it."""


@attrs.define(eq=False)
class Injection:
    """`hit` is where it was raised, "" until then; `calls` counts what could have been hit."""

    hit: str = ""
    calls: int = 0


@contextmanager
def raising_in(path: str, function: str, error: BaseException) -> Iterator[Injection]:
    """At the first call of `function` in the file whose path ends with `path`."""
    found = Injection()

    def hook(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and not found.hit and code.co_name == function and code.co_filename.endswith(path):
            found.hit = f"{path} {function}"
            raise error

    sys.setprofile(hook)
    try:
        yield found
    finally:
        sys.setprofile(None)


@contextmanager
def raising_at(number: int, error: BaseException, spared: frozenset[str] = frozenset()) -> Iterator[Injection]:
    """At the call with that number, counted from 1, of any function of the package in a task of `ours`; `spared` are names to pass over.

    Of plain functions: a coroutine that goes on is called as well, but what is raised there would go past its own ``finally``.
    """
    found = Injection()

    def hook(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event != "call" or found.hit or code.co_flags & GENERATORS or not code.co_filename.startswith(PACKAGE):
            return
        if code.co_name not in spared and ours.get():
            found.calls += 1
            if found.calls == number:
                found.hit = f"{code.co_filename.removeprefix(PACKAGE)} {code.co_name}"
                raise error

    sys.setprofile(hook)
    try:
        yield found
    finally:
        sys.setprofile(None)
