"""Files of principals: any bytes are names with options, and lines that are skipped."""

from __future__ import annotations

from trio_ssh.keys.principals import parse_authorized_principals


def target(data: bytes) -> None:
    parsed = parse_authorized_principals(data, "fuzzed")
    assert len(parsed.entries) + len(parsed.skipped) <= data.count(b"\n") + 1
    for entry in parsed.entries:
        assert entry.name
        assert not set(' \t"#\n\0') & set(entry.name)
        assert not entry.options.cert_authority


def seeds() -> list[bytes]:
    return [
        b"ops\nadmins # comment\n",
        b'restrict,command="echo \\"#1\\"" ops',
        b'from="192.0.2.*",expiry-time="20300102" ops\r\n\tada#x',
        b'command="a # ops',
        b"cert-authority ops\n",
    ]
