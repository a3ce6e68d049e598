"""Plain random values for message fields, from one `random.Random`: what a seed gives once it gives for ever.

Hypothesis draws and shrinks better, and a hundred times slower; a million cases need this. The values are those that a peer who means
business would send, so that a message with one fault in it gets as far as that fault.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import attrs

from tests.strategies import (
    BOOLEAN,
    BYTE,
    BYTES16,
    MPINT,
    NAME,
    NAME_LIST,
    REST,
    STRING,
    STRUCTURES,
    TEXT,
    UINT32,
    UINT64,
    UTF8,
    kinds_of,
)
from trio_ssh.wire import connection as c
from trio_ssh.wire import userauth as u
from trio_ssh.wire.codec import Kind, encode, field_names
from trio_ssh.wire.transport import write_extensions

ED25519_BLOB = bytes.fromhex("0000000b7373682d65643235353139000000203b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29")
"""A sound public key, the same in every process: that of a private key of 32 zeros."""

EDGES = (0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

NAMES: dict[str, tuple[str, ...]] = {
    "service_name": ("ssh-userauth", "ssh-connection", "x"),
    "method_name": ("none", "password", "publickey", "keyboard-interactive", "hostbased", "x"),
    "algorithm": ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "ssh-rsa", "x"),
    "request_name": ("keepalive@openssh.com", "tcpip-forward", "cancel-tcpip-forward", "no-more-sessions@openssh.com", "x"),
    "channel_type": ("session", "session", "direct-tcpip", "x11", "x"),
    "request_type": ("exec", "shell", "env", "pty-req", "subsystem", "window-change", "signal", "exit-status", "exit-signal", "x"),
    "signal_name": ("TERM", "KILL", "x"),
}
"""Field -> the values that a name or text in it mostly has."""

NUMBERS: dict[str, tuple[int, ...]] = {
    "recipient_channel": (0, 0, 0, 1, 2, 3),
    "sender_channel": (0, 1, 7, 8, 9),
    "reason_code": (1, 2, 3, 4, 11),
    "bits_min": (1024, 2048),
    "bits_wanted": (2048, 3072, 8192),
    "bits_max": (4096, 8192),
}

FIELDS_OF_REQUEST: dict[str, type] = {
    "exec": c.Exec,
    "env": c.Env,
    "pty-req": c.PtyReq,
    "subsystem": c.Subsystem,
    "window-change": c.WindowChange,
    "signal": c.Signal,
    "exit-status": c.ExitStatus,
    "exit-signal": c.ExitSignal,
    "tcpip-forward": c.TcpipForward,
    "direct-tcpip": c.DirectTcpip,
    "x11-req": c.X11Req,
    "password": u.PasswordFields,
    "publickey": u.PublicKeyFields,
    "keyboard-interactive": u.KeyboardInteractiveFields,
}
"""The name before a REST field -> the structure that mostly follows it."""

WITH_COUNT = frozenset(["extensions", "prompts", "responses"])
"""REST fields that begin with the count of their entries."""


@attrs.frozen
class Drawn:
    """A message, its wire form, and where each field stands in it: kind, start, end. Fields of a structure inside count as well."""

    message: Any
    payload: bytes
    places: tuple[tuple[Kind, int, int], ...]
    counts: tuple[int, ...] = ()
    """Where counts of entries stand."""


def number(rng: random.Random, field: str) -> int:
    if field in NUMBERS and rng.random() < 0.8:
        return rng.choice(NUMBERS[field])
    return rng.choice(EDGES) if rng.random() < 0.4 else rng.randrange(1 << rng.randrange(1, 33))


def text(rng: random.Random, field: str) -> str:
    if field in NAMES and rng.random() < 0.9:
        return rng.choice(NAMES[field])
    return "".join(chr(rng.randrange(32, 127)) for _ in range(rng.randrange(0, 12)))


def blob(rng: random.Random, field: str) -> bytes:
    if field in ("key_blob", "host_key") and rng.random() < 0.7:
        return ED25519_BLOB
    if field in ("client_public", "server_public", "e", "f") and rng.random() < 0.7:
        return rng.randbytes(32)
    if field in ("signature_field", "new_password"):
        return rng.choice((b"", b"", u.string_field(rng.randbytes(9))))
    return rng.randbytes(rng.choice((0, 1, 5, 31, 32, 33, 65)))


def names(rng: random.Random) -> tuple[str, ...]:
    return tuple(f"name-{rng.randrange(9)}@x" for _ in range(rng.randrange(0, 4)))


_DRAW: dict[Kind, Callable[[random.Random, str], Any]] = {
    BYTE: lambda rng, field: rng.randrange(256),
    BOOLEAN: lambda rng, field: rng.random() < 0.5,
    UINT32: number,
    UINT64: lambda rng, field: rng.randrange(1 << rng.randrange(1, 65)),
    BYTES16: lambda rng, field: rng.randbytes(16),
    STRING: blob,
    NAME: text,
    TEXT: text,
    UTF8: text,
    MPINT: lambda rng, field: rng.randrange(-(1 << 64), 1 << 2048) if rng.random() < 0.3 else number(rng, field),
    NAME_LIST: lambda rng, field: names(rng),
    REST: blob,
}


@cache
def fields(cls: type) -> tuple[tuple[str, Kind], ...]:
    """Of a declared class, in wire order."""
    return tuple(zip(field_names(cls), kinds_of(cls), strict=True))


def _places(value: Any, offset: int) -> list[tuple[Kind, int, int]]:
    """Where each field of `value` stands when the first is at `offset`."""
    places = []
    cls: type = type(value)
    for name, kind in fields(cls):
        written = bytearray()
        kind.write(written, getattr(value, name))
        places.append((kind, offset, offset + len(written)))
        offset += len(written)
    return places


def draw_structure(rng: random.Random, cls: type) -> Any:
    """An instance of a structure whose own REST fields are plain bytes."""
    return cls(*(_DRAW[kind](rng, name) for name, kind in fields(cls)))


def _draw_rest(rng: random.Random, field: str, before: str) -> tuple[bytes, Any]:
    """A REST field and the structure in it, if there is one."""
    if field == "extensions":
        return write_extensions({text(rng, ""): blob(rng, "") for _ in range(rng.randrange(3))}), None
    if field == "prompts":
        return u.write_prompts(tuple((text(rng, "") + ":", rng.random() < 0.5) for _ in range(rng.randrange(3)))), None
    if field == "responses":
        return u.write_responses(tuple(text(rng, "") for _ in range(rng.randrange(3)))), None
    if before in FIELDS_OF_REQUEST:
        inner = draw_structure(rng, FIELDS_OF_REQUEST[before])
        return encode(inner), inner
    return (b"" if rng.random() < 0.7 else rng.randbytes(rng.randrange(1, 9))), None


def draw(rng: random.Random, cls: type) -> Drawn:
    """An instance of a message class."""
    values: list[Any] = []
    inner: Any = None
    before = ""
    for field, kind in fields(cls):
        if kind == REST:
            value, inner = _draw_rest(rng, field, before)
        else:
            value = _DRAW[kind](rng, field)
            before = value if isinstance(value, str) and kind == NAME else before
        values.append(value)
    message = cls(*values)
    places = _places(message, 1)
    counts = tuple(places[i][1] for i, name in enumerate(field_names(cls)) if name in WITH_COUNT)
    if inner is not None:
        start = places[-1][1]
        places[-1:] = _places(inner, start)
    return Drawn(message, encode(message), tuple(places), counts)


assert set(FIELDS_OF_REQUEST.values()) <= set(STRUCTURES)
