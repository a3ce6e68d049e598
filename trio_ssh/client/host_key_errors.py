"""What is said about a host key that is not accepted: which key, what is saved and where, and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ..errors import HostKeyChanged, HostKeyRevoked, HostKeyUnknown, printable
from ..keys.key import PublicKey
from ..keys.known_hosts import Changed, KnownHostEntry, LookupResult, Revoked, Unknown, host_name


def unknown_error(host: str, port: int, key: PublicKey, result: Unknown, path: str) -> HostKeyUnknown:
    """The error for a key that nobody has accepted yet; `path` is the file that it would be saved in."""
    name = printable(host_name(host, port))
    others = [entry.key_type for entry in result.other_types]
    beside = f"; keys of other types are saved for it: {', '.join(sorted(set(others)))}" if others else ""
    return HostKeyUnknown(
        f"the host key of {name} is not known: {key.algorithm} {key.fingerprint()}{beside}. "
        f"If that is the right fingerprint, add the key to {printable(path)}",
        offered=key.fingerprint(),
        known=others,
        path=path,
    )


def revoked_error(result: Revoked, host: str, port: int, key: PublicKey, authority: PublicKey | None = None) -> HostKeyRevoked:
    """The error for a revoked key, or one that is certified by a revoked authority."""
    certified = f" or the authority of its certificate, {authority.fingerprint()}," if authority is not None else ""
    return HostKeyRevoked(
        f"the host key of {printable(host_name(host, port))}, {key.fingerprint()},{certified} "
        f"is marked as revoked in {printable(result.path)} line {result.line}",
        offered=key.fingerprint(),
        path=result.path,
        line=result.line,
    )


def changed_error(result: Changed, host: str, port: int, key: PublicKey) -> HostKeyChanged:
    """The error for a key that is not the saved one, with the command that removes that."""
    first = result.entries[0]
    places = " and ".join(f"{printable(entry.path)} line {entry.line}" for entry in result.entries)
    return HostKeyChanged(
        f"the host key of {printable(host_name(host, port))} HAS CHANGED: it shows {key.algorithm} {key.fingerprint()}, "
        f"another one is saved in {places}. "
        f"Somebody may be listening in; if the change is known to be right, remove the saved key: {removal(result.entries, host, port)}",
        offered=key.fingerprint(),
        known=[PublicKey(entry.key_type, entry.blob).fingerprint() for entry in result.entries],
        path=first.path,
        line=first.line,
    )


def removal(entries: Sequence[KnownHostEntry], host: str, port: int) -> str:
    """The commands that remove the saved keys: one for each file, to be pasted into a shell."""
    # A key saved for the bare name counts for other ports too, but only a key that fits: never in here.
    name = shlex.quote(host_name(host, port))
    commands = (f"trio-ssh-keygen -f {shlex.quote(path)} -R {name}" for path in dict.fromkeys(entry.path for entry in entries))
    return printable(" && ".join(commands), 2000)


def refuse_known_bad(result: LookupResult, host: str, port: int, key: PublicKey) -> None:
    """Raises for what no policy that checks may accept: a changed or revoked key."""
    if isinstance(result, Revoked):
        raise revoked_error(result, host, port, key)
    if isinstance(result, Changed):
        raise changed_error(result, host, port, key)
