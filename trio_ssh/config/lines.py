"""Configuration text, cut into lines of a keyword and its words, each knowing where it stands (ssh_config(5), sshd_config(5)).

Only regular files of at most 1 MiB are read (hardening E14), and only those that somebody named.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import attrs

from ..errors import ConfigError, printable

CONFIG_FILE_BYTES_MAX = 1 << 20

Path: TypeAlias = str | os.PathLike[str]

_BLANKS = " \t"
_ESCAPABLE = "\"'\\"


@attrs.frozen
class Place:
    """Where a setting stands: a file and its line, counted from 1, or the command line (no path)."""

    path: str | None = None
    line: int = 0

    def __str__(self) -> str:
        return "command line" if self.path is None else f"{printable(self.path)} line {self.line}"

    def error(self, text: str) -> ConfigError:
        """A `ConfigError` that names this place."""
        return ConfigError(f"{self}: {text}")


COMMAND_LINE = Place()


@attrs.frozen
class Line:
    """One line that says something: ``Keyword word word``."""

    place: Place
    keyword: str
    words: tuple[str, ...]
    rest: str = ""
    """What stands behind the keyword, as it is written."""


def file_lines(path: Path, *, ours: bool = False) -> Iterator[Line]:
    """The lines of a file. With `ours`, a file that others could have written is refused, as OpenSSH does for ~/.ssh/config.

    Raises `ConfigError`, which names the file.
    """
    content = _read(os.path.realpath(path), os.fspath(path), ours)
    return text_lines(os.fsdecode(content), os.fspath(path))


def text_lines(text: str, path: str) -> Iterator[Line]:
    """The lines of a text; `path` is only named in errors. Raises `ConfigError`."""
    for number, line in enumerate(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").split("\n"), 1):
        parsed = _parse_line(line.removesuffix("\r"), Place(path, number))
        if parsed is not None:
            yield parsed


def option_lines(options: Iterable[str]) -> Iterator[Line]:
    """The lines of ``-o`` options, each ``Keyword=value`` or ``Keyword value``. Raises `ConfigError`."""
    for option in options:
        parsed = _parse_line(option, COMMAND_LINE)
        if parsed is None:
            raise COMMAND_LINE.error("an option is empty; write it as Keyword=value")
        yield parsed


def _parse_line(text: str, place: Place) -> Line | None:
    text = text.strip(_BLANKS + "\r\f\v")
    if not text or text.startswith("#"):
        return None
    if any(character in text for character in "\0\n"):
        raise place.error("the line has a control character in it")
    end = next((i for i, character in enumerate(text) if character in _BLANKS + "="), len(text))
    rest = text[end:].lstrip(_BLANKS)
    if rest.startswith("="):
        rest = rest[1:]
    try:
        return Line(place, text[:end], split_words(rest), rest.lstrip(_BLANKS))
    except ValueError as error:
        raise place.error(f"{printable(text[:end], 64)}: {error}") from None


def split_words(text: str, *, comments: bool = True) -> tuple[str, ...]:
    r"""Cut at blanks outside of quotes. Quotes are ``"`` or ``'``; ``\"``, ``\'``, ``\\`` and outside of quotes ``\ `` stand for their
    second character; with `comments` a word that begins with ``#`` ends the line. Raises `ValueError`."""
    words: list[str] = []
    position = 0
    while True:
        while position < len(text) and text[position] in _BLANKS:
            position += 1
        if position == len(text) or (comments and text[position] == "#"):
            return tuple(words)
        word, position = _read_word(text, position)
        words.append(word)


def _read_word(text: str, position: int) -> tuple[str, int]:
    """The word that begins at `position`, and where it ends."""
    word: list[str] = []
    quote = ""
    while position < len(text):
        character, following = text[position], text[position + 1 : position + 2]
        if character == "\\" and following and (following in _ESCAPABLE or (not quote and following == " ")):
            word.append(following)
            position += 1
        elif character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote = character
        elif not quote and character in _BLANKS:
            break
        else:
            word.append(character)
        position += 1
    if quote:
        raise ValueError("a quote is not closed")
    return "".join(word), position


def _read(path: str, shown: str, ours: bool) -> bytes:
    name = printable(shown)
    try:
        # O_NONBLOCK: opening a FIFO that nobody writes to must not wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == os.stat(os.devnull).st_rdev:
                return b""  # "-F /dev/null" is the usual way to say: no configuration
            _check(status, name, ours)
            content = b""
            while len(content) <= CONFIG_FILE_BYTES_MAX and (part := os.read(descriptor, CONFIG_FILE_BYTES_MAX + 1 - len(content))):
                content += part
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > CONFIG_FILE_BYTES_MAX:
        raise ConfigError(f"{name}: the file is larger than {CONFIG_FILE_BYTES_MAX} bytes; it cannot be a configuration")
    return content


def _check(status: os.stat_result, name: str, ours: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{name}: it is {'a directory' if stat.S_ISDIR(status.st_mode) else 'not a regular file'}")
    if ours and (status.st_uid not in (0, os.getuid()) or status.st_mode & 0o002 or _group_may_write(status)):
        raise ConfigError(f"{name}: others than you may write to this file, so it is not used; run: chmod go-w on it, and own it")


def _group_may_write(status: os.stat_result) -> bool:
    """A group of which nobody but the owner is a member is no other (ssh_config(5), FILES)."""
    if not status.st_mode & 0o020:
        return False
    try:
        members = set(grp.getgrgid(status.st_gid).gr_mem)
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        return True
    members |= {account.pw_name for account in pwd.getpwall() if account.pw_gid == status.st_gid}
    return not members <= {owner}
