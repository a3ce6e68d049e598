"""known_hosts text: any bytes are a file of entries and of lines that are skipped."""

from __future__ import annotations

from tests import pairs
from trio_ssh.keys.known_hosts import KnownHosts, hash_name

KEY = pairs.HOST_KEY.public_key


def target(data: bytes) -> None:
    known = KnownHosts()
    known._load(data, "fuzzed")
    for host, port in (("host.example", 22), ("::1", 2222), ("", 22)):
        known.lookup(host, port, KEY)
        known.key_types(host, port)
    assert len(known.entries) + len(known.skipped) <= data.count(b"\n") + 1


def seeds() -> list[bytes]:
    line = KEY.to_openssh_line().encode()
    hosts = [b"host.example", b"*.example,!host.example", b"[::1]:2222", hash_name("host.example", bytes(20)).encode(), b"@revoked *"]
    lines = [name + b" " + line for name in (*hosts, b"@cert-authority *.example", b"@nonsense x")]
    return [
        *lines,
        b"\r\n".join(lines) + b"\n",
        b"# comment\n\n\xef\xbb\xbf" + lines[0],
        b"host.example ssh-nothing AAAAC3NzaC1ub3RoaW5n\n",
    ]
