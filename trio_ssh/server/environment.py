"""The environment of a session's process: what the server says stands above what the client asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from .accounts import Account

PATH_OF_USERS = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
PATH_OF_ROOT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What would change the programs between us and the user's command, whatever the server's list of accepted variables says: the dynamic
# linker, and the start of the shells. A forced command must stay what it is.
_REFUSED_NAMES = {"ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS", "IFS", "PS4", "CDPATH", "GLOBIGNORE", "GCONV_PATH", "GLIBC_TUNABLES"}
_REFUSED_BEGINNINGS = ("LD_", "DYLD_", "_RLD", "BASH_FUNC_", "SSH_", "MALLOC_")


def child_environment(
    account: Account,
    wanted: Mapping[str, str],
    *,
    term: str | None = None,
    tty: str | None = None,
    granted: Iterable[tuple[str, str]] = (),
    addresses: Mapping[str, str] | None = None,
    extra: Mapping[str, str] | None = None,
) -> dict[bytes, bytes]:
    """`wanted` is the client's (already filtered by the server's list); above it stand the fixed variables, above those `extra`.

    `granted` are those that the user's key has (``environment=``): they stand above all but what tells of the connection, and `extra`.
    `term` and `tty` belong to a terminal, `addresses` comes from `address_variables`. What no environment can hold is left out.
    """
    variables = {name: value for name, value in wanted.items() if _may_be_set(name)}
    if "TZ" in os.environ:
        variables.setdefault("TZ", os.environ["TZ"])
    if term is not None:
        variables["TERM"] = term
    variables.update(
        HOME=account.home,
        USER=account.name,
        LOGNAME=account.name,
        SHELL=account.shell,
        PATH=PATH_OF_USERS if account.uid else PATH_OF_ROOT,
    )
    variables.update(granted)
    if tty is not None:
        variables["SSH_TTY"] = tty
    variables.update(addresses or {})
    variables.update(extra or {})
    return {to_bytes(name): to_bytes(value) for name, value in variables.items() if _can_be_held(name, value)}


def address_variables(peer: str, local: str = "") -> dict[str, str]:
    """SSH_CLIENT and SSH_CONNECTION, from the ends of a TCP connection as text: "192.0.2.1 port 22".

    Nothing where the peer is no such text; an unknown end of ours is "UNKNOWN 65535", as OpenSSH has it.
    """
    theirs, ours = _endpoint(peer), _endpoint(local) or ("UNKNOWN", "65535")
    if theirs is None:
        return {}
    return {
        "SSH_CLIENT": f"{theirs[0]} {theirs[1]} {ours[1]}",
        "SSH_CONNECTION": f"{theirs[0]} {theirs[1]} {ours[0]} {ours[1]}",
    }


def _endpoint(text: str) -> tuple[str, str] | None:
    address, found, port = text.partition(" port ")
    return (address, port) if found else None


def to_bytes(text: str) -> bytes:
    """Peer's text as the bytes it came in."""
    return text.encode("utf-8", "surrogateescape")


def _may_be_set(name: str) -> bool:
    return name not in _REFUSED_NAMES and not name.startswith(_REFUSED_BEGINNINGS)


def _can_be_held(name: str, value: str) -> bool:
    return bool(name) and "=" not in name and "\0" not in name and "\0" not in value
