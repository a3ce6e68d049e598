"""The messages of the transport layer (RFC 4253, 5656, 8308, OpenSSH's PING)."""

from __future__ import annotations

from ..errors import DecodeError
from .codec import Boolean, Bytes16, Mpint, Name, NameList, Rest, String, Text, Uint32, message
from .primitives import read_name, read_string, read_uint32, write_name, write_string, write_uint32


@message(1)
class Disconnect:
    reason_code: Uint32
    description: Text
    language_tag: Text = ""


@message(2)
class Ignore:
    data: String


@message(3)
class Unimplemented:
    sequence_number: Uint32


@message(4)
class Debug:
    always_display: Boolean
    text: Text
    language_tag: Text = ""


@message(5)
class ServiceRequest:
    service_name: Name


@message(6)
class ServiceAccept:
    service_name: Name


@message(7)
class ExtInfo:
    """RFC 8308 §2.3; `extensions` is read and written by `read_extensions` and `write_extensions`."""

    extensions: Rest


@message(20)
class KexInit:
    """RFC 4253 §7.1."""

    cookie: Bytes16
    kex_algorithms: NameList
    server_host_key_algorithms: NameList
    encryption_algorithms_client_to_server: NameList
    encryption_algorithms_server_to_client: NameList
    mac_algorithms_client_to_server: NameList
    mac_algorithms_server_to_client: NameList
    compression_algorithms_client_to_server: NameList
    compression_algorithms_server_to_client: NameList
    languages_client_to_server: NameList = ()
    languages_server_to_client: NameList = ()
    first_kex_packet_follows: Boolean = False
    reserved: Uint32 = 0


@message(21)
class NewKeys:
    pass


@message(30)
class KexDhInit:
    """RFC 4253 §8. `e` is the mpint's bytes; on the wire an mpint is a string of them, so range checks stay with the maths."""

    e: String


@message(31)
class KexDhReply:
    """RFC 4253 §8."""

    host_key: String
    f: String
    signature: String


@message(30)
class KexEcdhInit:
    """RFC 5656 §4, RFC 8731; the ML-KEM hybrids put their C_INIT in the same place."""

    client_public: String


@message(31)
class KexEcdhReply:
    """RFC 5656 §4. `signature` is over the exchange hash."""

    host_key: String
    server_public: String
    signature: String


@message(34)
class KexDhGexRequest:
    """RFC 4419 §3: sizes of the group's prime in bits."""

    bits_min: Uint32
    bits_wanted: Uint32
    bits_max: Uint32


@message(31)
class KexDhGexGroup:
    """RFC 4419 §3."""

    prime: Mpint
    generator: Mpint


@message(32)
class KexDhGexInit:
    """RFC 4419 §3. As in `KexDhInit`, the share is the mpint's bytes; the field has the name of its like in `KexEcdhInit`."""

    client_public: String


@message(33)
class KexDhGexReply:
    """RFC 4419 §3; fields as in `KexEcdhReply`."""

    host_key: String
    server_public: String
    signature: String


@message(192)
class Ping:
    """OpenSSH PROTOCOL §1.10."""

    data: String


@message(193)
class Pong:
    data: String


def read_extensions(data: bytes, entries_max: int) -> dict[str, bytes]:
    """The entries of an EXT_INFO. A count that does not match raises `DecodeError`; the first of two equal names counts."""
    count, offset = read_uint32(data, 0)
    if count > entries_max:
        raise DecodeError(f"EXT_INFO has {count} entries; at most {entries_max} are taken")
    extensions: dict[str, bytes] = {}
    for _ in range(count):
        name, offset = read_name(data, offset)
        value, offset = read_string(data, offset)
        extensions.setdefault(name, value)
    if offset != len(data):
        raise DecodeError(f"{len(data) - offset} bytes follow the last entry of an EXT_INFO")
    return extensions


def write_extensions(extensions: dict[str, bytes]) -> bytes:
    """The `extensions` field of an `ExtInfo`."""
    out = bytearray()
    write_uint32(out, len(extensions))
    for name, value in extensions.items():
        write_name(out, name)
        write_string(out, value)
    return bytes(out)
