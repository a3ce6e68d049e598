"""Tools run in this process, which is a hundred times faster than starting one: for those that ask nobody and read no stdin."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import attrs


@attrs.frozen
class Run:
    """What a tool did."""

    status: int
    out: str
    err: str


def run_here(tool: str, *words: str, stdin: bytes = b"") -> Run:
    """Run a tool's `main` on files of our own as stdin, stdout and stderr."""
    main = importlib.import_module(f"trio_ssh.cli.{tool}").main
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        with _standing_in([given.fileno(), out.fileno(), err.fileno()]), logging_put_back():
            # pytest has an object of its own there, which does not write to file 2.
            with open(2, "w", buffering=1, closefd=False) as stderr, contextlib.redirect_stderr(stderr):
                status = main(words)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return Run(status, *texts)


@contextmanager
def _standing_in(numbers: list[int]) -> Iterator[None]:
    saved = [os.dup(number) for number in range(3)]
    try:
        for number, other in enumerate(numbers):
            os.dup2(other, number)
        yield
    finally:
        for number, old in enumerate(saved):
            os.dup2(old, number)
            os.close(old)


@contextmanager
def logging_put_back() -> Iterator[None]:
    """A tool takes the library's log for itself."""
    library = logging.getLogger("trio_ssh")
    state = library.handlers[:], library.level, library.propagate, logging.raiseExceptions
    try:
        yield
    finally:
        library.handlers[:], level, library.propagate, logging.raiseExceptions = state
        library.setLevel(level)
