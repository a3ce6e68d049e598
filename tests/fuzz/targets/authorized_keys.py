"""authorized_keys text: any bytes are a file of keys and of lines that are skipped."""

from __future__ import annotations

from tests import pairs
from trio_ssh.keys.authorized_keys import parse_authorized_keys


def target(data: bytes) -> None:
    parsed = parse_authorized_keys(data, "fuzzed")
    assert len(parsed.entries) + len(parsed.skipped) <= data.count(b"\n") + 1


def seeds() -> list[bytes]:
    line = pairs.USER_KEY.public_key.to_openssh_line("a comment").encode()
    options = [b"restrict ", b'command="echo \\"hi\\"" ', b'no-pty,from="10.0.0.0/8"\t', b'open="', b"cert-authority "]
    return [line, *(option + line for option in options), line.replace(b" ", b"\t"), b"# c\r\n" + line + b"\r\n\n" + line]
