"""Host key policies: which server key is the right one (RFC 4251 §4.1). The default is known_hosts, strict.

A policy is any object with the two methods of `HostKeyPolicy`; it accepts by returning and refuses by raising, and what it raises is never
read as "accepted". Checking happens before anything but key exchange messages has left. One that can judge certificates too is a
`HostCertificatePolicy`: only where its `key_types` name types of certificates are servers asked for one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol, runtime_checkable

import attrs
import trio

from ..errors import CertificateError, HostKeyError, HostKeyUnknown, printable
from ..keys.certificates import Certificate
from ..keys.files import FileMark, file_mark
from ..keys.fingerprint import key_family
from ..keys.key import PublicKey
from ..keys.known_hosts import Changed, Known, KnownHostEntry, LookupResult, Revoked, Unknown, host_name
from ..keys.known_hosts import KnownHosts as KnownHostsSnapshot
from ..keys.known_hosts_edit import update_host
from .host_key_changes import HostKeyChanges, plan_changes
from .host_key_errors import refuse_known_bad, revoked_error, unknown_error

SYSTEM_FILES = ("/etc/ssh/ssh_known_hosts",)
THREAD_BYTES = 1 << 20
NAMES_SHOWN = 5


class HostKeyDoubt(Enum):
    """Why a key that was let pass is not believed."""

    CHANGED = "the host key is not the one that is saved"
    """As OpenSSH with checking off does it: no password, no keyboard-interactive, and nothing is forwarded on the connection."""


class HostKeyPolicy(Protocol):
    """Decides whether `key` is the key of ``host:port``."""

    async def check(self, host: str, port: int, key: PublicKey, /) -> HostKeyDoubt | None:
        """Return None to accept. Raises `HostKeyError` to refuse; any other exception refuses as well and comes out of `connect`."""

    async def key_types(self, host: str, port: int, /) -> Sequence[str]:
        """Key types already known for the host: they are asked for first, so that a key of another type is no surprise."""


@runtime_checkable
class HostCertificatePolicy(HostKeyPolicy, Protocol):
    """One that can also judge a host's certificate."""

    async def check_certificate(self, host: str, port: int, certificate: Certificate, /) -> HostKeyDoubt | None:
        """As `HostKeyPolicy.check`, for a server that has shown a certificate of its key, and has proven that it has the key."""


@runtime_checkable
class HostKeyUpdatePolicy(HostKeyPolicy, Protocol):
    """One that can learn a host's further keys (OpenSSH's UpdateHostKeys)."""

    @property
    def learns_keys(self) -> bool:
        """Does it want to? If not, what servers announce is not looked at."""

    async def plan_update(self, host: str, port: int, key: PublicKey, announced: Sequence[PublicKey], /) -> HostKeyChanges | None:
        """What there is to change, now that a server that has shown `key` says that it has these keys. None: nothing, or not wanted."""

    async def update(self, changes: HostKeyChanges, /) -> None:
        """Save the change; the server has proven the keys that are added. Raises `KeyFileError`."""


UpdatePrompt = Callable[[HostKeyChanges], Awaitable[bool]]


def _path_texts(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    return tuple(os.fspath(path) for path in paths)


@attrs.define(eq=False)
class KnownHosts:
    """Strict checking against known_hosts files (a path, or several), read again when they have changed. New keys go into the first.

    An unknown key raises `HostKeyUnknown`, a changed one `HostKeyChanged`, a revoked one `HostKeyRevoked`: all of them `HostKeyError`. A
    host certificate is good if a ``@cert-authority`` line names its authority and it holds for the host at the time of `clock`; one of
    another authority counts as the plain key in it.

    With `update_keys` the keys that a known server proves to have are added to the first file, and those that it has no more are removed
    (OpenSSH's UpdateHostKeys); given a function, ``await update_keys(changes)`` must say True before.
    """

    paths: tuple[str, ...] = attrs.field(converter=_path_texts)
    hash_hosts: bool = False
    update_keys: bool | UpdatePrompt = False
    clock: Callable[[], float] = time.time
    _snapshot: KnownHostsSnapshot | None = attrs.field(default=None, init=False)
    _marks: tuple[FileMark | None, ...] = attrs.field(default=(), init=False)

    @classmethod
    def default(cls) -> KnownHosts:
        """The user's ``~/.ssh/known_hosts`` and the system's files."""
        return cls((str(Path.home() / ".ssh" / "known_hosts"), *SYSTEM_FILES))

    async def look_up(self, host: str, port: int, key: PublicKey) -> LookupResult:
        """What the files say, without judging it. Raises `KeyFileError` for a file that cannot be read."""
        return (await self._read()).lookup(host, port, key)

    async def vouched_for(self, host: str, port: int, certificate: Certificate) -> bool:
        """Is this a good certificate of an authority that the files name for the host? False if they name none: judge the key alone.

        Raises `HostKeyRevoked` if the key or the authority is revoked, `HostKeyError` if the authority is named but the certificate does
        not hold, `KeyFileError` for a file that cannot be read.
        """
        snapshot = await self._read()
        result = snapshot.lookup_authority(host, port, certificate.public_key, certificate.authority)
        if isinstance(result, Revoked):
            raise revoked_error(result, host, port, certificate.public_key, certificate.authority)
        if isinstance(result, Known):
            try:
                certificate.check_host(host, self.clock())
            except CertificateError as error:
                offered = certificate.public_key.fingerprint()
                text = f"the host certificate of {printable(host_name(host, port))} ({offered}) is not accepted: {error}"
                raise HostKeyError(text, offered=offered, path=result.path, line=result.line) from None
        return result is not None

    async def check(self, host: str, port: int, key: PublicKey) -> None:
        """Accepts a key that is saved, and nothing else."""
        result = await self.look_up(host, port, key)
        refuse_known_bad(result, host, port, key)
        if isinstance(result, Unknown):
            raise self.unknown(host, port, key, result)

    async def check_certificate(self, host: str, port: int, certificate: Certificate) -> None:
        """Accepts a good certificate of a known authority, and a saved key."""
        if not await self.vouched_for(host, port, certificate):
            await self.check(host, port, certificate.public_key)

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
        return unknown_error(host, port, key, result, self.paths[0])

    async def question(self, host: str, port: int, key: PublicKey, result: Unknown) -> HostKeyQuestion:
        """What to show a user about the key, given what looking it up has said."""
        return HostKeyQuestion(host, port, key, result.other_types, (await self._read()).entries_of(key))

    @property
    def learns_keys(self) -> bool:
        return self.update_keys is not False

    async def plan_update(self, host: str, port: int, key: PublicKey, announced: Sequence[PublicKey]) -> HostKeyChanges | None:
        """What `plan_changes` says about the first file."""
        return plan_changes(await self._read(), self.paths[0], host, port, key, announced)

    async def update(self, changes: HostKeyChanges) -> None:
        """Write the change into the first file, unless `update_keys` is a function and does not say True."""
        if not callable(self.update_keys) or await self.update_keys(changes) is True:
            await trio.to_thread.run_sync(
                update_host, changes.path, changes.host, changes.port, changes.added, changes.removed, self.hash_hosts
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

    async def check_certificate(self, host: str, port: int, certificate: Certificate) -> None:
        if not await self.known_hosts.vouched_for(host, port, certificate):
            await self.check(host, port, certificate.public_key)

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return await self.known_hosts.key_types(host, port)

    @property
    def learns_keys(self) -> bool:
        return self.known_hosts.learns_keys

    async def plan_update(self, host: str, port: int, key: PublicKey, announced: Sequence[PublicKey]) -> HostKeyChanges | None:
        return await self.known_hosts.plan_update(host, port, key, announced)

    async def update(self, changes: HostKeyChanges) -> None:
        await self.known_hosts.update(changes)


@attrs.frozen
class AcceptChanged:
    """Hardly any checking (OpenSSH's ``StrictHostKeyChecking no``): new keys are saved, a changed key is let pass with a doubt.

    That keeps out nobody, but it keeps passwords from somebody in the middle: see `HostKeyDoubt`. Revoked keys are refused.
    """

    known_hosts: KnownHosts

    async def check(self, host: str, port: int, key: PublicKey) -> HostKeyDoubt | None:
        result = await self.known_hosts.look_up(host, port, key)
        if isinstance(result, Changed):
            return HostKeyDoubt.CHANGED
        refuse_known_bad(result, host, port, key)
        if isinstance(result, Unknown):
            await self.known_hosts.save(host, port, key)
        return None

    async def check_certificate(self, host: str, port: int, certificate: Certificate) -> HostKeyDoubt | None:
        if await self.known_hosts.vouched_for(host, port, certificate):
            return None
        return await self.check(host, port, certificate.public_key)

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return await self.known_hosts.key_types(host, port)


Prompt = Callable[["HostKeyQuestion"], Awaitable[bool]]


@attrs.frozen
class HostKeyQuestion:
    """What to show a user about an unknown key.

    `other_types` are the saved entries for other key types of that host, `other_names` those of this very key for other hosts.
    """

    host: str
    port: int
    key: PublicKey
    other_types: tuple[KnownHostEntry, ...]
    other_names: tuple[KnownHostEntry, ...] = ()

    def text(self, digest: str = "SHA256") -> str:
        """What a person needs in order to answer: the host, the key's fingerprint and its picture. Several lines, none at its end."""
        lines = [
            f"The authenticity of host '{printable(host_name(self.host, self.port), 300)}' can't be established.",
            f"{key_family(self.key.algorithm)} key fingerprint is {self.key.fingerprint(digest)}.",
            self.key.randomart(digest),
            "This key is known by these other names:" if self.other_names else "This key is not known by any other names.",
            *(f"    {_place(entry)}" for entry in self.other_names[:NAMES_SHOWN]),
        ]
        if self.other_types:
            types = ", ".join(sorted({entry.key_type for entry in self.other_types}))
            lines.append(f"WARNING: keys of other types are saved for this host: {printable(types, 200)}.")
        return "\n".join(lines)


def _place(entry: KnownHostEntry) -> str:
    hosts = "(a hashed name)" if entry.hosts.startswith("|") else printable(entry.hosts, 300)
    return f"{printable(entry.path)} line {entry.line}: {hosts}"


@attrs.frozen
class AskUser:
    """Trust on first use, with the user's word: ``await prompt(question)`` shows the key and says True to accept and save it."""

    known_hosts: KnownHosts
    prompt: Prompt

    async def check(self, host: str, port: int, key: PublicKey) -> None:
        result = await self.known_hosts.look_up(host, port, key)
        refuse_known_bad(result, host, port, key)
        if isinstance(result, Unknown):
            if await self.prompt(await self.known_hosts.question(host, port, key, result)) is not True:
                raise self.known_hosts.unknown(host, port, key, result)
            await self.known_hosts.save(host, port, key)

    async def check_certificate(self, host: str, port: int, certificate: Certificate) -> None:
        if not await self.known_hosts.vouched_for(host, port, certificate):
            await self.check(host, port, certificate.public_key)

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return await self.known_hosts.key_types(host, port)

    @property
    def learns_keys(self) -> bool:
        return self.known_hosts.learns_keys

    async def plan_update(self, host: str, port: int, key: PublicKey, announced: Sequence[PublicKey]) -> HostKeyChanges | None:
        return await self.known_hosts.plan_update(host, port, key, announced)

    async def update(self, changes: HostKeyChanges) -> None:
        await self.known_hosts.update(changes)


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
