"""known_hosts text: any bytes are a file of entries and of lines that are skipped; what a server says about its keys, likewise."""

from __future__ import annotations

import contextlib

from tests import pairs
from trio_ssh.client.host_key_changes import plan_changes
from trio_ssh.client.host_key_update import announced_keys, proven_keys
from trio_ssh.errors import DecodeError
from trio_ssh.keys import Marker
from trio_ssh.keys.known_hosts import KnownHosts, hash_name
from trio_ssh.wire.connection import write_strings

KEY = pairs.HOST_KEY.public_key
USER = pairs.USER_KEY.public_key
HOSTS = (("host.example", 22), ("::1", 2222), ("", 22))
KEYS_MAX = 4


def target(data: bytes) -> None:
    known = KnownHosts.from_bytes(data, "fuzzed")
    for host, port in HOSTS:
        known.lookup(host, port, KEY)
        known.lookup_authority(host, port, KEY, USER)
        known.key_types(host, port)
        check_changes(known, host, port)
    assert len(known.entries) + len(known.skipped) <= data.count(b"\n") + 1
    check_announcement(data)


def check_changes(known: KnownHosts, host: str, port: int) -> None:
    """Nothing is added that is there or revoked, nothing removed that the server has."""
    changes = plan_changes(known, "fuzzed", host, port, KEY, [KEY, USER])
    if changes is not None:
        assert set(changes.added) <= {USER}
        assert not {KEY, USER} & set(changes.removed)
        assert all(entry.marker is Marker.TRUSTED for entry in known.entries_for(host, port))


def check_announcement(data: bytes) -> None:
    """Whatever the server says, it is not too many keys, and no signature is made up."""
    with contextlib.suppress(DecodeError):
        assert len(announced_keys(data, KEYS_MAX)) <= KEYS_MAX
    with contextlib.suppress(DecodeError):
        assert proven_keys(data, [KEY], b"session", frozenset(["ssh-ed25519"])) == ()


def seeds() -> list[bytes]:
    line = KEY.to_openssh_line().encode()
    hosts = [b"host.example", b"*.example,!host.example", b"[::1]:2222", hash_name("host.example", bytes(20)).encode(), b"@revoked *"]
    lines = [name + b" " + line for name in (*hosts, b"@cert-authority *.example", b"@nonsense x")]
    return [
        *lines,
        b"\r\n".join(lines) + b"\n",
        b"# comment\n\n\xef\xbb\xbf" + lines[0],
        b"host.example ssh-nothing AAAAC3NzaC1ub3RoaW5n\n",
        write_strings([KEY.blob, USER.blob]),
        write_strings([pairs.HOST_KEY.sign("ssh-ed25519", b"something else")]),
    ]
