"""known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): which keys a host is known by, and adding one.

A line is taken whole or skipped whole; no bad line shifts another's fields. A host of port 22 is looked up by its bare name, of another
port as ``[name]:port``. ``@revoked`` wins over everything else, over a ``@cert-authority`` too: those vouch for certificates, never for a
plain key.
"""

from __future__ import annotations

import base64
import enum
import hmac
import logging
import os
import re
from collections.abc import Iterable
from functools import partial
from typing import TypeAlias

import attrs

from ..errors import DecodeError, printable
from ..wire.patterns import PatternList, compile_pattern_list
from .blobs import check_blob, is_key_type
from .certificates import CERTIFICATE_KEY_TYPES
from .files import FileMark, Path, Source, file_mark, is_null_device, make_directory, read_if_exists, replace_file
from .key import PublicKey, blob_of_fields
from .lines import SkippedLine, entry_lines, log_skipped, read_base64

KNOWN_HOSTS_BYTES_MAX = 256 << 20
KNOWN_HOSTS_LINE_BYTES_MAX = 64 << 10
SSH_PORT = 22
TRIES_MAX = 10
"""How often a rewrite of a file starts over because another process has changed it."""

_logger = logging.getLogger("trio_ssh.known_hosts")

_SALT_BYTES = 20
_HOSTS = re.compile(rb"[\x21-\x7e]+")
_WILD = re.compile(r"[*?!]")
_UNWRITABLE = re.compile(r"[^\x21-\x7e]|[,*?!@\\|\[\]#]")
_HOST_CHARACTERS_MAX = 1024


class Marker(enum.Enum):
    """What a line says about its key."""

    TRUSTED = ""
    REVOKED = "@revoked"
    CERT_AUTHORITY = "@cert-authority"


@attrs.frozen
class KnownHostEntry:
    """One line. `hosts` is its host field as written; `line` counts from 1."""

    path: str
    line: int
    marker: Marker
    hosts: str
    key_type: str
    blob: bytes


@attrs.frozen
class Known:
    """The key, or the authority of a certificate, is saved for the host: where."""

    path: str
    line: int


@attrs.frozen
class Unknown:
    """No key of this type is saved for the host. If keys of other types are, `other_types` holds them: a careful caller refuses then."""

    other_types: tuple[KnownHostEntry, ...] = ()


@attrs.frozen
class Changed:
    """Another key of the same type is saved for the host, and this one is not: `entries` says where."""

    entries: tuple[KnownHostEntry, ...]


@attrs.frozen
class Revoked:
    """The key, or the authority of its certificate, is marked as revoked: where."""

    path: str
    line: int


LookupResult: TypeAlias = Known | Unknown | Changed | Revoked


def host_name(host: str, port: int) -> str:
    """The name under which a host is looked up: lower case, with its port unless that is 22."""
    return host.lower() if port == SSH_PORT else f"[{host.lower()}]:{port}"


@attrs.define(eq=False)
class KnownHosts:
    """The entries of some known_hosts files as they were when read, and those appended since through this object."""

    _entries: list[KnownHostEntry] = attrs.field(factory=list, init=False)
    _skipped: list[SkippedLine] = attrs.field(factory=list, init=False)
    _exact: dict[str, list[int]] = attrs.field(factory=dict, init=False, repr=False)
    _patterns: list[tuple[PatternList, int]] = attrs.field(factory=list, init=False, repr=False)
    _hashed: list[tuple[bytes, bytes, int]] = attrs.field(factory=list, init=False, repr=False)

    @classmethod
    def from_files(cls, *paths: Path) -> KnownHosts:
        """Read files in order; one that is missing is empty. Bad lines are skipped, logged and kept in `skipped`.

        Raises `KeyFileError` for a file that cannot be read, is not a regular one (or the null device), or is larger than 256 MiB.
        """
        known = cls()
        for path in paths:
            content, _ = read_settled(path)
            log_skipped(_logger, known._load(content, os.fspath(path)))
        return known

    @classmethod
    def from_bytes(cls, content: bytes, path: Path = "") -> KnownHosts:
        """The entries of one file's content; `path` is what entries and skipped lines will name. Nothing is logged."""
        known = cls()
        known._load(content, os.fspath(path))
        return known

    @property
    def entries(self) -> tuple[KnownHostEntry, ...]:
        """All entries, in the order of the files and their lines."""
        return tuple(self._entries)

    @property
    def skipped(self) -> tuple[SkippedLine, ...]:
        """The lines that could not be used."""
        return tuple(self._skipped)

    def entries_for(self, host: str, port: int = SSH_PORT) -> tuple[KnownHostEntry, ...]:
        """All entries whose host field matches, whatever their marker, in order."""
        name = host_name(host, port)
        found = set(self._exact.get(name, ()))
        found.update(index for patterns, index in self._patterns if patterns.matches(name))
        raw = _name_bytes(name)
        found.update(index for salt, digest, index in self._hashed if hmac.digest(salt, raw, "sha1") == digest)
        return tuple(self._entries[index] for index in sorted(found))

    def entries_of(self, key: PublicKey) -> tuple[KnownHostEntry, ...]:
        """All entries with this key, whatever their hosts, but for those with a marker."""
        return tuple(entry for entry in _trusted(self._entries) if entry.blob == key.blob)

    def lookup(self, host: str, port: int, key: PublicKey) -> LookupResult:
        """What is known about `key` as the host's key.

        For a port other than 22 a key that is saved for the bare host name will do (as for OpenSSH), if nothing else is saved.
        """
        entries, bare = self._entries_of_both_names(host, port)
        if (revoked := _revoked((*entries, *bare), key)) is not None:
            return revoked
        result = _judge(entries, key)
        if isinstance(result, Unknown) and not result.other_types:
            by_bare_name = _judge(bare, key)
            return by_bare_name if isinstance(by_bare_name, Known) else result
        return result

    def lookup_authority(self, host: str, port: int, key: PublicKey, authority: PublicKey) -> Known | Revoked | None:
        """May `authority` vouch for the host's `key` by a certificate? The place of its ``@cert-authority`` line; None if there is none.

        Either of the two being revoked wins. For a port other than 22 a line for the bare host name will do. Whether the certificate
        holds, for that host and today, is another question: `Certificate.check_host`.
        """
        entries, bare = self._entries_of_both_names(host, port)
        if (revoked := _revoked((*entries, *bare), key, authority)) is not None:
            return revoked
        for entry in (*entries, *bare):
            if entry.marker is Marker.CERT_AUTHORITY and entry.blob == authority.blob:
                return Known(entry.path, entry.line)
        return None

    def key_types(self, host: str, port: int = SSH_PORT) -> tuple[str, ...]:
        """The key types to ask the host for first, so that no needless "unknown" comes up: those saved for it that we support.

        If an authority may vouch for the host, the types of certificates stand before them; else there are none in it.
        """
        entries, bare = self._entries_of_both_names(host, port)
        trusted = _trusted(entries) or _trusted(bare)
        plain = dict.fromkeys(entry.key_type for entry in trusted if is_key_type(entry.key_type))
        has_authority = any(_may_vouch(entry, (*entries, *bare)) for entry in (*entries, *bare))
        return (*CERTIFICATE_KEY_TYPES, *plain) if has_authority else tuple(plain)

    def append(self, host: str, port: int, key: PublicKey, path: Path, hash_host: bool = False) -> None:
        """Save a key for a host at the end of a file, in one step; later lookups here see it too.

        A missing file is made with mode 0600, its directory with 0700; a symbolic link is followed. Raises `KeyFileError`, also for a
        host that cannot stand in such a file.
        """
        name = writable_name(host, port, path)
        hosts = hash_name(name) if hash_host else name
        line = f"{hosts} {key.to_openssh_line()}"
        number = 0 if is_null_device(path) else _append_line(os.path.realpath(path), line.encode("ascii"))
        self._add(KnownHostEntry(os.fspath(path), number, Marker.TRUSTED, hosts, key.algorithm, key.blob))

    def _entries_of_both_names(self, host: str, port: int) -> tuple[tuple[KnownHostEntry, ...], tuple[KnownHostEntry, ...]]:
        """For the host with its port, and for its bare name if that is another one."""
        return self.entries_for(host, port), self.entries_for(host) if port != SSH_PORT else ()

    def _load(self, content: bytes, path: str) -> list[SkippedLine]:
        skipped = []
        for number, line, reason in entry_lines(content, KNOWN_HOSTS_LINE_BYTES_MAX):
            try:
                if reason:
                    raise DecodeError(reason)
                self._add(_parse_line(path, number, line))
            except DecodeError as error:
                skipped.append(SkippedLine(path, number, str(error)))
        self._skipped += skipped
        return skipped

    def _add(self, entry: KnownHostEntry) -> None:
        """Index an entry; `DecodeError` for a malformed host field, and then nothing has changed."""
        index = len(self._entries)
        if entry.hosts.startswith("|"):
            self._hashed.append((*_split_hash(entry.hosts), index))
        else:
            names = [name for name in entry.hosts.lower().split(",") if name]
            if not names:
                raise DecodeError("it names no host")
            if _WILD.search(entry.hosts):
                self._patterns.append((compile_pattern_list(names), index))
            else:
                for name in names:
                    self._exact.setdefault(name, []).append(index)
        self._entries.append(entry)


def hash_name(name: str, salt: bytes | None = None) -> str:
    """The hashed form of a host name, ``|1|salt|hash``. The format fixes HMAC-SHA1; it hides names, it protects no key."""
    salt = os.urandom(_SALT_BYTES) if salt is None else salt
    digest = hmac.digest(salt, _name_bytes(name), "sha1")
    return f"|1|{base64.b64encode(salt).decode('ascii')}|{base64.b64encode(digest).decode('ascii')}"


def _name_bytes(name: str) -> bytes:
    return name.encode("utf-8", "backslashreplace")


def _trusted(entries: Iterable[KnownHostEntry]) -> list[KnownHostEntry]:
    return [entry for entry in entries if entry.marker is Marker.TRUSTED]


def _revoked(entries: Iterable[KnownHostEntry], *keys: PublicKey) -> Revoked | None:
    blobs = {key.blob for key in keys}
    for entry in entries:
        if entry.marker is Marker.REVOKED and entry.blob in blobs:
            return Revoked(entry.path, entry.line)
    return None


def _may_vouch(entry: KnownHostEntry, entries: Iterable[KnownHostEntry]) -> bool:
    is_authority = entry.marker is Marker.CERT_AUTHORITY and is_key_type(entry.key_type)
    return is_authority and not any(other.marker is Marker.REVOKED and other.blob == entry.blob for other in entries)


def _judge(entries: Iterable[KnownHostEntry], key: PublicKey) -> LookupResult:
    trusted = _trusted(entries)
    for entry in trusted:
        if entry.blob == key.blob:
            return Known(entry.path, entry.line)
    same_type = tuple(entry for entry in trusted if entry.key_type == key.algorithm)
    return Changed(same_type) if same_type else Unknown(tuple(trusted))


def _parse_line(path: str, number: int, line: bytes) -> KnownHostEntry:
    fields = line.split(None, 4)
    marker = Marker.TRUSTED
    if fields[0].startswith(b"@"):
        marker = _parse_marker(fields.pop(0))
    if len(fields) < 3:
        raise DecodeError("it has not the three fields hosts, key type and key")
    if not _HOSTS.fullmatch(fields[0]) or fields[0].startswith(b"@"):
        raise DecodeError("its host field is malformed")
    key_type = fields[1].decode("ascii", "replace")
    blob = blob_of_fields(key_type, fields[2].decode("ascii", "replace"))
    if is_key_type(key_type):
        check_blob(blob)  # a type that we do not support is kept: its host is not an unknown one
    return KnownHostEntry(path, number, marker, fields[0].decode("ascii"), key_type, blob)


def _parse_marker(field: bytes) -> Marker:
    try:
        return Marker(field.decode("ascii", "replace"))
    except ValueError:
        raise DecodeError(f"the marker {printable(field, 64)!r} is unknown") from None


def _split_hash(hosts: str) -> tuple[bytes, bytes]:
    parts = hosts.split("|")
    try:
        _, version, salt_text, digest_text = parts
        salt, digest = read_base64(salt_text), read_base64(digest_text)
    except ValueError:
        raise DecodeError("its hashed host field is malformed") from None
    if version != "1" or len(salt) != _SALT_BYTES or len(digest) != _SALT_BYTES:
        raise DecodeError("its hashed host field is malformed")
    return salt, digest


def writable_name(host: str, port: int, path: Path) -> str:
    """`host_name` of a host that can stand in a file. Raises `KeyFileError` that names the file for another one."""
    if not 0 < len(host) <= _HOST_CHARACTERS_MAX or _UNWRITABLE.search(host):
        shown = printable(host, 100)
        raise Source(os.fspath(path)).error(f"a key for the host {shown!r} cannot be saved: such a name cannot stand in this file")
    if not 0 < port < 65536:
        raise Source(os.fspath(path)).error(f"a key for port {port} cannot be saved: there is no such port")
    return host_name(host, port)


def read_settled(path: Path) -> tuple[bytes, FileMark | None]:
    """The content of a file and its mark, read again if it was changed meanwhile."""
    for _ in range(TRIES_MAX):
        mark = file_mark(path)
        content = read_if_exists(path, KNOWN_HOSTS_BYTES_MAX)
        if file_mark(path) == mark:
            return content, mark
    raise Source(os.fspath(path)).error("the file is changing all the time; try again")


def is_still(path: str, mark: FileMark | None) -> bool:
    """Has the file not been changed since it was marked?"""
    return file_mark(path) == mark


def _append_line(path: str, line: bytes) -> int:
    """Returns the new line's number. Two processes that append at once both get their line in: the later one starts over."""
    make_directory(os.path.dirname(path))
    for _ in range(TRIES_MAX):
        content, mark = read_settled(path)
        if content and not content.endswith(b"\n"):
            content += b"\n"
        if replace_file(path, content + line + b"\n", keep_mode=True, only_if=partial(is_still, path, mark)):
            return content.count(b"\n") + 1
    raise Source(path).error("the file is changing all the time; the key was not saved, try again")
