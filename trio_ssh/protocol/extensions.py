"""What the two sides tell each other in EXT_INFO (RFC 8308, OpenSSH PROTOCOL §1.10-1.12).

A server's first goes out right behind its first NEWKEYS, to a client that said ``ext-info-c``; a client's likewise, to a server that said
``ext-info-s``. A client that names ``ext-info-in-auth@openssh.com`` takes a second one of the server in the midst of authentication, when
the server knows for whom it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from ..errors import DecodeError
from ..keys.certificates import CERTIFICATE_ALGORITHMS
from ..wire.codec import decode, encode
from ..wire.transport import ExtInfo, read_extensions, write_extensions
from .limits import Limits

SERVER_SIGNATURES = "server-sig-algs"
PING = "ping@openssh.com"
HOSTBOUND = "publickey-hostbound@openssh.com"
IN_AUTH = "ext-info-in-auth@openssh.com"
_KNOWN = (SERVER_SIGNATURES, PING, IN_AUTH, HOSTBOUND)


def read_ext_info(payload: bytes, limits: Limits) -> dict[str, bytes]:
    """The entries of an EXT_INFO by name; unknown ones are there too. Raises `DecodeError`."""
    extensions = read_extensions(decode(ExtInfo, payload).extensions, limits.ext_info_entries)
    for name in _KNOWN:
        if b"\0" in extensions.get(name, b""):
            raise DecodeError(f"the value of {name} in the peer's EXT_INFO has a NUL in it")
    return extensions


@lru_cache(16)
def extensions_of_server(signature_algorithms: tuple[str, ...]) -> bytes:
    """The payload of the EXT_INFO a server sends as its first packet under the first keys (RFC 8308 §2.4)."""
    return _payload({SERVER_SIGNATURES: _plain(signature_algorithms), HOSTBOUND: b"0", PING: b"0"})


def extensions_of_server_in_auth(signature_algorithms: Sequence[str]) -> bytes:
    """The payload of the second one: which signatures will do for this user."""
    return _payload({SERVER_SIGNATURES: _plain(signature_algorithms)})


def _plain(signature_algorithms: Sequence[str]) -> bytes:
    """RFC 8308 §3.1 lists signature algorithms: those of certificates are named by the plain ones that they sign with."""
    return ",".join(dict.fromkeys(CERTIFICATE_ALGORITHMS.get(name, name) for name in signature_algorithms)).encode("ascii")


@lru_cache(1)
def extensions_of_client() -> bytes:
    """The payload of a client's EXT_INFO: we take the server's second one."""
    return _payload({IN_AUTH: b"0"})


def server_signature_algorithms(extensions: Mapping[str, bytes]) -> tuple[str, ...] | None:
    """The names in ``server-sig-algs`` (RFC 8308 §3.1); None when the server did not say."""
    value = extensions.get(SERVER_SIGNATURES)
    if value is None:
        return None
    return tuple(value.decode("ascii", "replace").split(","))


def takes_host_bound_requests(extensions: Mapping[str, bytes]) -> bool:
    """Does the server take publickey requests that name its host key (OpenSSH PROTOCOL §3.1)?"""
    return extensions.get(HOSTBOUND) == b"0"


def takes_extensions_in_auth(extensions: Mapping[str, bytes]) -> bool:
    """Does the client take a second EXT_INFO?"""
    return extensions.get(IN_AUTH) == b"0"


def _payload(extensions: dict[str, bytes]) -> bytes:
    return encode(ExtInfo(write_extensions(extensions)))
