"""Which lines of known_hosts to change when a server tells all its host keys (OpenSSH's UpdateHostKeys)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ..errors import DecodeError
from ..keys.key import PublicKey
from ..keys.known_hosts import KnownHostEntry, KnownHosts, Marker, Revoked
from ..keys.known_hosts_edit import is_simple


@attrs.frozen
class HostKeyChanges:
    """What a server's own account of its keys makes of the file at `path`. At least one of `added` and `removed` is not empty."""

    host: str
    port: int
    path: str
    added: tuple[PublicKey, ...]
    removed: tuple[PublicKey, ...]


def plan_changes(
    known: KnownHosts, path: str, host: str, port: int, key: PublicKey, announced: Sequence[PublicKey]
) -> HostKeyChanges | None:
    """The changes to the file at `path`, one of those in `known`; None if there are none to make, or none may be made.

    `key` is the one by which the connection was made. Only where it stands in this very file on a plain line of the host's own, and all
    the host's lines there are such (no wildcard, no list of names, no marker), is the file ours to change; a key that was accepted for
    another reason, such as a certificate, vouches for nothing. `announced` are all keys of the server whose types we know.
    """
    entries = known.entries_for(host, port)
    own = [entry for entry in entries if entry.path == path]
    if key not in announced or not any(entry.blob == key.blob for entry in own) or not all(is_simple(entry) for entry in own):
        return None
    there = {entry.blob for entry in entries if entry.marker is Marker.TRUSTED}
    new = [one for one in announced if one.blob not in there and not isinstance(known.lookup(host, port, one), Revoked)]
    kept = {one.blob for one in announced}
    gone = [old for entry in own if entry.blob not in kept and (old := _supported_key(entry)) is not None]
    added, removed = tuple(dict.fromkeys(new)), tuple(dict.fromkeys(gone))
    return HostKeyChanges(host, port, path, added, removed) if added or removed else None


def _supported_key(entry: KnownHostEntry) -> PublicKey | None:
    """None for a type that we do not know: whether the server has such a key was not understood."""
    try:
        return PublicKey.from_blob(entry.blob)
    except DecodeError:
        return None
