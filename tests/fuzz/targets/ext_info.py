"""EXT_INFO to both roles: its entries, and what is read from those that we know."""

from __future__ import annotations

from tests.fuzz.choices import Choices
from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.extensions import read_ext_info, server_signature_algorithms, takes_extensions_in_auth
from trio_ssh.protocol.limits import Limits
from trio_ssh.wire.codec import encode
from trio_ssh.wire.transport import ExtInfo, write_extensions

LIMITS = (Limits(), Limits(ext_info_entries=2))


def target(data: bytes) -> None:
    choices = Choices(data)
    limits = choices.pick(LIMITS)
    try:
        extensions = read_ext_info(b"\x07" + choices.rest(), limits)
    except RemoteProtocolError:
        return
    assert len(extensions) <= limits.ext_info_entries
    server_signature_algorithms(extensions)
    takes_extensions_in_auth(extensions)


def seeds() -> list[bytes]:
    values = {"server-sig-algs": b"ssh-ed25519,rsa-sha2-512", "ping@openssh.com": b"0", "ext-info-in-auth@openssh.com": b"0", "x": b""}
    some = [dict(list(values.items())[:size]) for size in range(len(values) + 1)]
    return [bytes([limits]) + encode(ExtInfo(write_extensions(entries)))[1:] for entries in some for limits in (0, 1)]
