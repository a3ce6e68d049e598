"""authorized_keys text: any bytes are a file of keys with options, and of lines that are skipped."""

from __future__ import annotations

from tests import pairs
from trio_ssh.keys.authorized_keys import Claim, parse_authorized_keys, permissions_for

KEY = pairs.USER_KEY.public_key
CLAIM = Claim(username="ada", address="192.0.2.7", now=1.9e9, public_key=KEY)


def target(data: bytes) -> None:
    parsed = parse_authorized_keys(data, "fuzzed")
    assert len(parsed.entries) + len(parsed.skipped) <= data.count(b"\n") + 1
    for entry in parsed.entries:
        assert entry.options.cert_authority or entry.options.principals is None
        entry.options.permissions.may_open("localhost", 80)
        entry.options.permissions.may_listen("localhost", 80)
    permissions_for(parsed.entries, CLAIM)


def seeds() -> list[bytes]:
    line = KEY.to_openssh_line().encode()
    options = [
        b"restrict,pty,no-X11-forwarding",
        b'command="echo \\"a\\" b",environment="A=b c"',
        b'from="10.0.0.0/8,!10.1.*,host.example,192.0.2.7",expiry-time="20300102030405Z"',
        b'permitopen="[::1]:80",permitlisten="*.example:*",permitlisten="22",tunnel="0"',
        b'cert-authority,principals="a,b",no-touch-required,verify-required',
    ]
    return [
        line + b" comment\n",
        *(text + b" " + line for text in options),
        b",".join(options) + b"\t" + line,
        b'command="open ' + line,
        b"\r\n".join(text + b" " + line for text in options),
        b"# comment\n\n\xef\xbb\xbf" + line,
        b"ssh-nothing AAAAC3NzaC1ub3RoaW5n x\n",
    ]
