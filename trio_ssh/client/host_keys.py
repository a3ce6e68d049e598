"""Host key policies: which server key is the right one (RFC 4251 §4.1). The default is known_hosts, strict.

A policy is any object with the two methods of `HostKeyPolicy`; it accepts by returning and refuses by raising, and what it raises is never
read as "accepted". Checking happens before anything but key exchange messages has left.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

import attrs
import trio

from ..errors import HostKeyChanged, HostKeyRevoked, HostKeyUnknown, printable
from ..keys.files import FileMark, file_mark
from ..keys.key import PublicKey
from ..keys.known_hosts import Changed, KnownHostEntry, LookupResult, Revoked, Unknown, host_name
from ..keys.known_hosts import KnownHosts as KnownHostsSnapshot

SYSTEM_FILES = ("/etc/ssh/ssh_known_hosts",)
THREAD_BYTES = 1 << 20


class HostKeyPolicy(Protocol):
    """Decides whether `key` is the key of ``host:port``."""

    async def check(self, host: str, port: int, key: PublicKey, /) -> None:
        """Return to accept. Raises `HostKeyError` to refuse; any other exception refuses as well and comes out of `connect`."""

    async def key_types(self, host: str, port: int, /) -> Sequence[str]:
        """Key types already known for the host: they are asked for first, so that a key of another type is no surprise."""


def _path_texts(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    return tuple(os.fspath(path) for path in paths)


@attrs.define(eq=False)
class KnownHosts:
    """Strict checking against known_hosts files (a path, or several), read again when they have changed. New keys go into the first.

    An unknown key raises `HostKeyUnknown`, a changed one `HostKeyChanged`, a revoked one `HostKeyRevoked`: all of them `HostKeyError`.
    """

    paths: tuple[str, ...] = attrs.field(converter=_path_texts)
    hash_hosts: bool = False
    _snapshot: KnownHostsSnapshot | None = attrs.field(default=None, init=False)
    _marks: tuple[FileMark | None, ...] = attrs.field(default=(), init=False)

    @classmethod
    def default(cls) -> KnownHosts:
        """The user's ``~/.ssh/known_hosts`` and the system's files."""
        return cls((str(Path.home() / ".ssh" / "known_hosts"), *SYSTEM_FILES))

    async def look_up(self, host: str, port: int, key: PublicKey) -> LookupResult:
        """What the files say, without judging it. Raises `KeyFileError` for a file that cannot be read."""
        return (await self._read()).lookup(host, port, key)

    async def check(self, host: str, port: int, key: PublicKey) -> None:
        """Accepts a key that is saved, and nothing else."""
        result = await self.look_up(host, port, key)
        refuse_known_bad(result, host, port, key)
        if isinstance(result, Unknown):
            raise self.unknown(host, port, key, result)

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return (await self._read()).key_types(host, port)

    async def save(self, host: str, port: int, key: PublicKey) -> str:
        """Append the key to the first file, whose path comes back. Raises `KeyFileError`."""
        snapshot = await self._read()
        path = self.paths[0]
        await trio.to_thread.run_sync(snapshot.append, host, port, key, path, self.hash_hosts)
        return path

    def unknown(self, host: str, port: int, key: PublicKey, result: Unknown) -> HostKeyUnknown:
        """The error for a key that nobody has accepted yet."""
        name = printable(host_name(host, port))
        others = [entry.key_type for entry in result.other_types]
        beside = f"; keys of other types are saved for it: {', '.join(sorted(set(others)))}" if others else ""
        return HostKeyUnknown(
            f"the host key of {name} is not known: {key.algorithm} {key.fingerprint()}{beside}. "
            f"If that is the right fingerprint, add the key to {self.paths[0]}",
            offered=key.fingerprint(),
            known=others,
            path=self.paths[0],
        )

    async def _read(self) -> KnownHostsSnapshot:
        marks = tuple(file_mark(path) for path in self.paths)
        if self._snapshot is None or marks != self._marks:
            if sum(mark[2] for mark in marks if mark is not None) > THREAD_BYTES:
                self._snapshot = await trio.to_thread.run_sync(lambda: KnownHostsSnapshot.from_files(*self.paths))
            else:
                self._snapshot = KnownHostsSnapshot.from_files(*self.paths)
            self._marks = marks
        return self._snapshot


@attrs.frozen
class AcceptNew:
    """Trust on first use: an unknown key is saved without asking; a changed or revoked one is refused."""

    known_hosts: KnownHosts

    async def check(self, host: str, port: int, key: PublicKey) -> None:
        result = await self.known_hosts.look_up(host, port, key)
        refuse_known_bad(result, host, port, key)
        if isinstance(result, Unknown):
            if result.other_types:
                raise self.known_hosts.unknown(host, port, key, result)
            await self.known_hosts.save(host, port, key)

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return await self.known_hosts.key_types(host, port)


Prompt = Callable[["HostKeyQuestion"], Awaitable[bool]]


@attrs.frozen
class HostKeyQuestion:
    """What to show a user about an unknown key; `other_types` are the saved entries for other key types of that host."""

    host: str
    port: int
    key: PublicKey
    other_types: tuple[KnownHostEntry, ...]


@attrs.frozen
class AskUser:
    """Trust on first use, with the user's word: ``await prompt(question)`` shows the key and says True to accept and save it."""

    known_hosts: KnownHosts
    prompt: Prompt

    async def check(self, host: str, port: int, key: PublicKey) -> None:
        result = await self.known_hosts.look_up(host, port, key)
        refuse_known_bad(result, host, port, key)
        if isinstance(result, Unknown):
            if await self.prompt(HostKeyQuestion(host, port, key, result.other_types)) is not True:
                raise self.known_hosts.unknown(host, port, key, result)
            await self.known_hosts.save(host, port, key)

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return await self.known_hosts.key_types(host, port)


def _keys(keys: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
    return tuple(keys)


@attrs.frozen
class PinnedKeys:
    """Exactly these keys, whatever the host's name."""

    keys: tuple[PublicKey, ...] = attrs.field(converter=_keys)

    async def check(self, host: str, port: int, key: PublicKey) -> None:
        if key not in self.keys:
            raise HostKeyUnknown(
                f"the host key of {printable(host_name(host, port))}, {key.fingerprint()}, is none of the pinned ones",
                offered=key.fingerprint(),
                known=[pinned.fingerprint() for pinned in self.keys],
            )

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return tuple(key.algorithm for key in self.keys)


class TrustAnyHostKey(Enum):
    """No verification: whoever answers is believed, an attacker included. For throw-away test machines only."""

    DANGEROUS = "trust whoever answers"

    async def check(self, host: str, port: int, key: PublicKey) -> None:
        """Accepts."""

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return ()


def refuse_known_bad(result: LookupResult, host: str, port: int, key: PublicKey) -> None:
    """Raises for what no policy but "any" may accept: a changed or revoked key."""
    name = printable(host_name(host, port))
    if isinstance(result, Revoked):
        raise HostKeyRevoked(
            f"the host key of {name}, {key.fingerprint()}, is marked as revoked in {result.path} line {result.line}",
            offered=key.fingerprint(),
            path=result.path,
            line=result.line,
        )
    if isinstance(result, Changed):
        first = result.entries[0]
        places = " and ".join(f"{entry.path} line {entry.line}" for entry in result.entries)
        raise HostKeyChanged(
            f"the host key of {name} HAS CHANGED: it shows {key.algorithm} {key.fingerprint()}, another one is saved in {places}. "
            f"Somebody may be listening in; if the change is known to be right, remove the saved key: "
            f"ssh-keygen -f {first.path} -R '{host_name(host, port)}'",
            offered=key.fingerprint(),
            known=[PublicKey(entry.key_type, entry.blob).fingerprint() for entry in result.entries],
            path=first.path,
            line=first.line,
        )


