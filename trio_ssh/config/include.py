"""``Include`` lines: which files they name, and how deep and how many (hardening E14)."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import attrs

from ..errors import printable
from .lines import Line, file_lines
from .settings import Section

INCLUDE_DEPTH_MAX = 16
INCLUDED_FILES_MAX = 1024

ParseFile: TypeAlias = "Callable[[Iterable[Line], Callable[[Line], Iterable[Section]]], tuple[Section, ...]]"
"""Makes sections of a file's lines; what it is given besides reads the files that an ``Include`` line names."""


@attrs.frozen(kw_only=True)
class Includer:
    """Reads what ``Include`` lines name: for `parse_sections(..., include=includer.include)`.

    `folder` is where names that do not begin with ``/`` are looked for, `home` whether a ``~`` at the beginning is allowed, `ours`
    whether a file that others could have written is refused. `chain` are the files that are being read, each included by the one before.
    """

    parse: ParseFile
    folder: str
    home: bool
    ours: bool
    chain: tuple[str, ...] = ()
    numbers: Iterator[int] = attrs.field(factory=itertools.count, eq=False)

    def read(self, path: str, *, ours: bool) -> tuple[Section, ...]:
        """The sections of a file and of all that it includes. Raises `ConfigError`, which names file and line."""
        inner = attrs.evolve(self, chain=(*self.chain, os.path.realpath(path)))
        return self.parse(file_lines(path, ours=ours), inner.include)

    def include(self, line: Line) -> Iterable[Section]:
        """The sections of all files that an ``Include`` line names, those of one word in the order of their names.

        A file that does not exist is left out, as ssh does. Raises `ConfigError`.
        """
        for word in line.words:
            for path in self._paths(word, line):
                self._check(path, line)
                # A section ends with its file: what follows an Include line belongs where that line stands.
                yield from self.read(path, ours=self.ours)

    def _paths(self, word: str, line: Line) -> list[str]:
        if "\0" in word or not word:
            raise line.place.error(f"Include: '{printable(word, 200)}' is not a path")
        path = word
        if word.startswith("~"):
            path = os.path.expanduser(word)
            if not self.home or path.startswith("~"):
                raise line.place.error(f"Include: '{printable(word, 200)}': no home folder can be meant here")
        return sorted(glob.glob(path if os.path.isabs(path) else os.path.join(glob.escape(self.folder), path)))

    def _check(self, path: str, line: Line) -> None:
        if os.path.realpath(path) in self.chain:
            raise line.place.error(f"Include: {printable(path, 200)} is being read already: files include each other in a circle")
        if len(self.chain) > INCLUDE_DEPTH_MAX:
            raise line.place.error(f"Include: files include each other more than {INCLUDE_DEPTH_MAX} deep")
        if next(self.numbers) >= INCLUDED_FILES_MAX:
            raise line.place.error(f"Include: more than {INCLUDED_FILES_MAX} files are included")
