"""The messages of the connection protocol (RFC 4254) and the type-specific fields of its opens and requests."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import DecodeError
from .codec import Boolean, Name, Rest, String, Text, Uint32, Utf8, message, structure
from .primitives import read_string, write_string

HOSTKEYS = "hostkeys-00@openssh.com"
"""OpenSSH PROTOCOL §2.5: a server tells all its host keys, each as a string; no answer is asked for."""

HOSTKEYS_PROVE = "hostkeys-prove-00@openssh.com"
"""A client asks for proof that the server has the private halves of the keys that it names; the answer is a signature for each."""


@message(80)
class GlobalRequest:
    """RFC 4254 §4."""

    request_name: Name
    want_reply: Boolean
    request_fields: Rest = b""


@message(81)
class RequestSuccess:
    response: Rest = b""


@message(82)
class RequestFailure:
    pass


@message(90)
class ChannelOpen:
    """RFC 4254 §5.1."""

    channel_type: Name
    sender_channel: Uint32
    initial_window_size: Uint32
    maximum_packet_size: Uint32
    type_fields: Rest = b""


@message(91)
class ChannelOpenConfirmation:
    recipient_channel: Uint32
    sender_channel: Uint32
    initial_window_size: Uint32
    maximum_packet_size: Uint32
    type_fields: Rest = b""


@message(92)
class ChannelOpenFailureMessage:
    recipient_channel: Uint32
    reason_code: Uint32
    description: Text
    language_tag: Text = ""


@message(93)
class ChannelWindowAdjust:
    """RFC 4254 §5.2."""

    recipient_channel: Uint32
    bytes_to_add: Uint32


@message(94)
class ChannelData:
    recipient_channel: Uint32
    data: String


@message(95)
class ChannelExtendedData:
    recipient_channel: Uint32
    data_type_code: Uint32
    data: String


@message(96)
class ChannelEof:
    """RFC 4254 §5.3."""

    recipient_channel: Uint32


@message(97)
class ChannelClose:
    recipient_channel: Uint32


@message(98)
class ChannelRequest:
    """RFC 4254 §5.4."""

    recipient_channel: Uint32
    request_type: Name
    want_reply: Boolean
    request_fields: Rest = b""


@message(99)
class ChannelSuccess:
    recipient_channel: Uint32


@message(100)
class ChannelFailure:
    recipient_channel: Uint32


@structure
class PtyReq:
    """RFC 4254 §6.2: sizes in characters and pixels, then the encoded terminal modes (§8)."""

    term: Text
    columns: Uint32
    rows: Uint32
    width_pixels: Uint32
    height_pixels: Uint32
    modes: String


@structure
class X11Req:
    """RFC 4254 §6.3.1."""

    single_connection: Boolean
    authentication_protocol: Text
    authentication_cookie: Text
    screen_number: Uint32


@structure
class Env:
    """RFC 4254 §6.4."""

    variable_name: String
    variable_value: String


@structure
class Exec:
    """RFC 4254 §6.5."""

    command: String


@structure
class Subsystem:
    subsystem_name: Text


@structure
class WindowChange:
    """RFC 4254 §6.7."""

    columns: Uint32
    rows: Uint32
    width_pixels: Uint32
    height_pixels: Uint32


@structure
class XonXoff:
    """RFC 4254 §6.8."""

    client_can_do: Boolean


@structure
class Signal:
    """RFC 4254 §6.9: the name without SIG."""

    signal_name: Text


@structure
class ExitStatus:
    """RFC 4254 §6.10."""

    exit_status: Uint32


@structure
class ExitSignal:
    signal_name: Text
    core_dumped: Boolean
    error_message: Text
    language_tag: Text = ""


@structure
class Break:
    """RFC 4335 §3: milliseconds."""

    break_length: Uint32


@structure
class TcpipForward:
    """RFC 4254 §7.1, also cancel-tcpip-forward."""

    address: Utf8
    port: Uint32


@structure
class TcpipForwardReply:
    """RFC 4254 §7.1: only when port 0 was asked for."""

    port: Uint32


@structure
class DirectTcpip:
    """RFC 4254 §7.2, also forwarded-tcpip: the address connected to, then the originator's."""

    host: Utf8
    port: Uint32
    originator_address: Utf8
    originator_port: Uint32


@structure
class HostKeyProofData:
    """OpenSSH PROTOCOL §2.5: what a server signs to prove a host key; `request_name` is `HOSTKEYS_PROVE`."""

    request_name: Name
    session_id: String
    host_key: String


def read_strings(data: bytes, strings_max: int) -> tuple[bytes, ...]:
    """The strings that `data` is made of, as in the requests for host keys. Raises `DecodeError`, also for more of them than taken."""
    strings: list[bytes] = []
    offset = 0
    while offset < len(data):
        if len(strings) == strings_max:
            raise DecodeError(f"more than {strings_max} strings are listed")
        string, offset = read_string(data, offset)
        strings.append(string)
    return tuple(strings)


def write_strings(strings: Iterable[bytes]) -> bytes:
    """The inverse of `read_strings`."""
    out = bytearray()
    for string in strings:
        write_string(out, string)
    return bytes(out)
