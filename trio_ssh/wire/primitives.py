"""The seven data types of RFC 4251 §5, strict both ways.

``read_*(data, offset) -> (value, next_offset)`` raise `DecodeError`; ``write_*(out, value)`` append to a bytearray and raise
`LocalProtocolError` for a value that the type cannot hold.
"""

from __future__ import annotations

import struct

from ..errors import DecodeError, LocalProtocolError

UINT32_MAX = 0xFFFFFFFF
NAME_BYTES_MAX = 64  # RFC 4251 §6

_uint32 = struct.Struct(">I")
_uint64 = struct.Struct(">Q")
_unpack_uint32 = _uint32.unpack_from
_unpack_uint64 = _uint64.unpack_from
_pack_uint32 = _uint32.pack


def read_byte(data: bytes, offset: int) -> tuple[int, int]:
    if offset >= len(data):
        raise DecodeError("a byte is missing at the end of the message")
    return data[offset], offset + 1


def read_boolean(data: bytes, offset: int) -> tuple[bool, int]:
    """Any byte but 0 is TRUE (RFC 4251 §5)."""
    if offset >= len(data):
        raise DecodeError("a boolean is missing at the end of the message")
    return data[offset] != 0, offset + 1


def read_uint32(data: bytes, offset: int) -> tuple[int, int]:
    try:
        return _unpack_uint32(data, offset)[0], offset + 4
    except struct.error:
        raise DecodeError("a uint32 is cut off at the end of the message") from None


def read_uint64(data: bytes, offset: int) -> tuple[int, int]:
    try:
        return _unpack_uint64(data, offset)[0], offset + 8
    except struct.error:
        raise DecodeError("a uint64 is cut off at the end of the message") from None


def read_bytes16(data: bytes, offset: int) -> tuple[bytes, int]:
    """Sixteen bytes without a length: the cookie of a KEXINIT (RFC 4253 §7.1)."""
    end = offset + 16
    if end > len(data):
        raise DecodeError("sixteen bytes are cut off at the end of the message")
    return bytes(data[offset:end]), end


def read_string(data: bytes, offset: int) -> tuple[bytes, int]:
    length, start = read_uint32(data, offset)
    end = start + length
    if end > len(data):
        raise DecodeError(f"a string says it has {length} bytes, but only {len(data) - start} are left")
    return bytes(data[start:end]), end


def read_name(data: bytes, offset: int) -> tuple[str, int]:
    """A string that the RFCs restrict to US-ASCII: an algorithm, method, service, request or channel type name."""
    raw, offset = read_string(data, offset)
    try:
        return raw.decode("ascii"), offset
    except UnicodeDecodeError:
        raise DecodeError("a name is not US-ASCII") from None


def read_text(data: bytes, offset: int) -> tuple[str, int]:
    """A string meant for people, UTF-8 by the RFCs; undecodable bytes become surrogate escapes, so nothing is lost.

    Show it only through `trio_ssh.errors.printable`.
    """
    raw, offset = read_string(data, offset)
    return raw.decode("utf-8", "surrogateescape"), offset


def read_utf8(data: bytes, offset: int) -> tuple[str, int]:
    """A string that must be UTF-8, such as a user name (RFC 4252 §5)."""
    raw, offset = read_string(data, offset)
    try:
        return raw.decode("utf-8"), offset
    except UnicodeDecodeError:
        raise DecodeError("a string is not UTF-8") from None


def read_mpint(data: bytes, offset: int) -> tuple[int, int]:
    """Two's complement, most significant byte first, in the shortest form: needless leading bytes are refused."""
    raw, offset = read_string(data, offset)
    if raw and ((raw[0] == 0 and (len(raw) == 1 or raw[1] < 0x80)) or (raw[0] == 0xFF and len(raw) > 1 and raw[1] >= 0x80)):
        raise DecodeError("an mpint is not in its shortest form")
    return int.from_bytes(raw, "big", signed=True), offset


def read_name_list(data: bytes, offset: int) -> tuple[tuple[str, ...], int]:
    """Comma-separated US-ASCII names; no empty, over-long or unprintable name. One trailing comma is let pass."""
    raw, offset = read_string(data, offset)
    if not raw:
        return (), offset
    try:
        names = raw.decode("ascii").split(",")
    except UnicodeDecodeError:
        raise DecodeError("a name-list is not US-ASCII") from None
    if len(names) > 1 and not names[-1]:
        names.pop()
    for name in names:
        if not 0 < len(name) <= NAME_BYTES_MAX:
            raise DecodeError("a name in a name-list is empty or longer than 64 characters")
        if not name.isprintable() or " " in name:
            raise DecodeError("a name in a name-list has a blank or control character")
    return tuple(names), offset


def read_rest(data: bytes, offset: int) -> tuple[bytes, int]:
    """All that is left: the fields whose layout depends on a name before them."""
    return bytes(data[offset:]), len(data)


def write_byte(out: bytearray, value: int) -> None:
    if not 0 <= value <= 255:
        raise LocalProtocolError(f"{value} does not fit into a byte")
    out.append(value)


def write_boolean(out: bytearray, value: bool) -> None:
    out.append(1 if value else 0)


def write_uint32(out: bytearray, value: int) -> None:
    try:
        out += _pack_uint32(value)
    except struct.error:
        raise LocalProtocolError(f"{value} does not fit into a uint32") from None


def write_uint64(out: bytearray, value: int) -> None:
    try:
        out += _uint64.pack(value)
    except struct.error:
        raise LocalProtocolError(f"{value} does not fit into a uint64") from None


def write_bytes16(out: bytearray, value: bytes) -> None:
    if len(value) != 16:
        raise LocalProtocolError(f"{len(value)} bytes stand where 16 belong")
    out += value


def write_string(out: bytearray, value: bytes | bytearray | memoryview) -> None:
    write_uint32(out, len(value))
    out += value


def write_name(out: bytearray, value: str) -> None:
    try:
        write_string(out, value.encode("ascii"))
    except UnicodeEncodeError:
        raise LocalProtocolError(f"the name {value!r} is not US-ASCII") from None


def write_text(out: bytearray, value: str) -> None:
    try:
        write_string(out, value.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise LocalProtocolError(f"the text {value!r} cannot be sent: it has half a surrogate pair") from None


def write_utf8(out: bytearray, value: str) -> None:
    try:
        write_string(out, value.encode("utf-8"))
    except UnicodeEncodeError:
        raise LocalProtocolError(f"the string {value!r} is not UTF-8") from None


def mpint_bytes(value: int) -> bytes:
    """The two's complement bytes of an mpint without its length: shortest form, empty for 0."""
    if value == 0:
        return b""
    bits = value.bit_length() if value > 0 else (value + 1).bit_length()
    return value.to_bytes(bits // 8 + 1, "big", signed=True)


def write_mpint(out: bytearray, value: int) -> None:
    write_string(out, mpint_bytes(value))


def write_name_list(out: bytearray, value: tuple[str, ...]) -> None:
    for name in value:
        if not 0 < len(name) <= NAME_BYTES_MAX or not name.isascii() or not name.isprintable() or "," in name or " " in name:
            raise LocalProtocolError(f"{name!r} cannot stand in a name-list: 1 to 64 printable ASCII characters, no comma or blank")
    write_name(out, ",".join(value))


def write_rest(out: bytearray, value: bytes) -> None:
    out += value
