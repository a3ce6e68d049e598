"""Changing known_hosts files: removing, hashing and finding hosts (``ssh-keygen -R``, ``-H``, ``-F``), and the keys of one host at once.

A file is rewritten in one step, and only if nobody has changed it since it was read; else all starts over with what it is then. Whatever
is not meant stays as it stands, byte by byte: comments, blank lines, lines that we cannot read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import attrs

from .files import Path, Source, file_mark, is_null_device, make_directory, read_regular_file, replace_file
from .key import PublicKey
from .known_hosts import (
    TRIES_MAX,
    KnownHostEntry,
    KnownHosts,
    Marker,
    hash_name,
    is_still,
    read_settled,
    writable_name,
)
from .lines import SkippedLine

Lines = list[bytes]
Change = Callable[[KnownHosts, Lines], Lines]
"""What becomes of a file's lines; the line of number n is at n - 1, each without its LF, and all of them have one."""

_BOM = b"\xef\xbb\xbf"
_HOST_FIELD = re.compile(rb"([ \t]*)([^ \t]+)(.*)", re.DOTALL)
_WILDCARD = re.compile(r"[*?!]")
_HOSTS_OF_SIMPLE_LINE = 2


@attrs.frozen
class FoundLine:
    """An entry, and its line as it stands in the file, without the line's end."""

    entry: KnownHostEntry
    text: str


@attrs.frozen
class HashedFile:
    """What hashing a file has done: how many lines of it were hashed, which could not be, and which were not understood (and kept)."""

    hashed: int
    kept: tuple[KnownHostEntry, ...]
    """With wildcards or a marker: these name hosts in clear."""
    skipped: tuple[SkippedLine, ...]


def find_host(path: Path, host: str) -> tuple[FoundLine, ...]:
    """The lines for a host, named as in the file: ``name``, or ``[name]:port`` for a port other than 22. Raises `KeyFileError`."""
    content = read_settled(_existing(path))[0]
    lines = content.split(b"\n")
    entries = KnownHosts.from_bytes(content, path).entries_for(host)
    return tuple(FoundLine(entry, _text(lines[entry.line - 1])) for entry in entries)


def hashed_text(line: FoundLine) -> str:
    """The line's text with each of its host names hashed, on a line of its own; what cannot be hashed stays as it is."""
    if not _can_be_hashed(line.entry):
        return line.text
    return "\n".join(_text(hashed) for hashed in _hashed(line.entry, line.text.encode("utf-8", "surrogateescape")))


def remove_host(path: Path, host: str) -> tuple[KnownHostEntry, ...]:
    """Remove the keys of a host, named as for `find_host`; they are returned, and none means that nothing has changed.

    A line goes if it matches the host, also by a wildcard; lines with a marker stay. What the file was is kept beside it as ``.old``.
    Raises `KeyFileError`.
    """
    removed: list[KnownHostEntry] = []

    def change(known: KnownHosts, lines: Lines) -> Lines:
        removed[:] = [entry for entry in known.entries_for(host) if entry.marker is Marker.TRUSTED]
        return _without(lines, removed)

    rewrite(_existing(path), change, keep_old=True)
    return tuple(removed)


def hash_hosts(path: Path) -> HashedFile:
    """Hash all host names of a file, each to a line of its own, but for those with wildcards or markers.

    What the file was is kept beside it as ``.old``: that one still has the names in clear. Raises `KeyFileError`.
    """
    results = [HashedFile(0, (), ())]

    def change(known: KnownHosts, lines: Lines) -> Lines:
        plain = {entry.line: entry for entry in known.entries if _can_be_hashed(entry)}
        kept = tuple(entry for entry in known.entries if entry.line not in plain and not entry.hosts.startswith("|"))
        results[:] = [HashedFile(len(plain), kept, known.skipped)]
        changed: Lines = []
        for number, line in enumerate(lines, 1):
            changed += _hashed(plain[number], line) if number in plain else [line]
        return changed

    rewrite(_existing(path), change, keep_old=True)
    return results[0]


def is_simple(entry: KnownHostEntry) -> bool:
    """Is this a line as ssh writes them: one host, perhaps with its address, or a hash; no wildcard, no marker?"""
    names = entry.hosts.split(",")
    return entry.marker is Marker.TRUSTED and not _WILDCARD.search(entry.hosts) and len(names) <= _HOSTS_OF_SIMPLE_LINE


def update_host(
    path: Path, host: str, port: int, added: Sequence[PublicKey], removed: Iterable[PublicKey], hash_host: bool = False
) -> None:
    """Save keys for a host and remove others, in one step; of the host's lines only simple ones go. Raises `KeyFileError`."""
    name = writable_name(host, port, path)
    gone = {key.blob for key in removed}

    def change(known: KnownHosts, lines: Lines) -> Lines:
        entries = known.entries_for(host, port)
        old = [entry for entry in entries if is_simple(entry) and entry.blob in gone]
        there = {entry.blob for entry in entries if entry.marker is Marker.TRUSTED}
        new = [f"{hash_name(name) if hash_host else name} {key.to_openssh_line()}" for key in added if key.blob not in there]
        return [*_without(lines, old), *(line.encode("ascii") for line in new)]

    rewrite(path, change)


def rewrite(path: Path, change: Change, *, keep_old: bool = False) -> None:
    """Give the file the lines that `change` makes of it. It keeps its mode and owner; a symbolic link is followed.

    If nothing changes, nothing is written, and to the null device never. Raises `KeyFileError`.
    """
    target = os.path.realpath(path)
    if is_null_device(target):
        return
    make_directory(os.path.dirname(target))
    for _ in range(TRIES_MAX):
        content, mark = read_settled(target)
        known = KnownHosts.from_bytes(content, path)
        before = content.split(b"\n")
        if not before[-1]:
            before.pop()
        after = change(known, before[:])
        if after == before:
            return
        if keep_old and file_mark(target) == mark:
            replace_file(f"{target}.old", content)
        if replace_file(target, b"".join(line + b"\n" for line in after), keep_mode=True, only_if=partial(is_still, target, mark)):
            return
    raise Source(os.fspath(path)).error("the file is changing all the time; nothing was changed, try again")


def _existing(path: Path) -> Path:
    """Raises `KeyFileError` for a file that is not there: a wrong path is not an empty file here."""
    if file_mark(path) is None:
        read_regular_file(path)
    return path


def _without(lines: Lines, entries: Iterable[KnownHostEntry]) -> Lines:
    numbers = {entry.line for entry in entries}
    return [line for number, line in enumerate(lines, 1) if number not in numbers]


def _can_be_hashed(entry: KnownHostEntry) -> bool:
    return entry.marker is Marker.TRUSTED and not entry.hosts.startswith("|") and not _WILDCARD.search(entry.hosts)


def _hashed(entry: KnownHostEntry, line: bytes) -> Lines:
    found = _HOST_FIELD.fullmatch(line.removeprefix(_BOM))
    assert found is not None  # the entry was read from it
    names = [name for name in entry.hosts.lower().split(",") if name]
    return [hash_name(name).encode("ascii") + found[3] for name in names]


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").removeprefix(_BOM).decode("utf-8", "surrogateescape")
