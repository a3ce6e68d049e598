"""The options inside certificates: OpenSSH's PROTOCOL.certkeys, "Critical options" and "Extensions".

Both are lists of name and data, sorted by name and each name once. The data of most is empty; that of some is one string. What a user
certificate allows starts at nothing: extensions give, critical options take away or demand.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import TypeAlias

import attrs

from ..errors import CertificateError, DecodeError, LocalProtocolError, printable
from ..wire.addresses import AddressList, IPAddress
from ..wire.primitives import read_string, read_text, write_string, write_text
from .permissions import RESTRICTED, Permissions

Options: TypeAlias = tuple[tuple[str, bytes], ...]

FORCE_COMMAND = "force-command"
SOURCE_ADDRESS = "source-address"
VERIFY_REQUIRED = "verify-required"
NO_TOUCH_REQUIRED = "no-touch-required"
CRITICAL_OPTIONS = (FORCE_COMMAND, SOURCE_ADDRESS, VERIFY_REQUIRED)
"""The critical options that there are; a certificate with another one is refused."""

PERMIT_EXTENSIONS = ("permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc")
"""What ``ssh-keygen -s`` gives every user certificate, unless it is told otherwise; in the order in which they are stored."""

_FLAG_EXTENSIONS = (NO_TOUCH_REQUIRED, *PERMIT_EXTENSIONS)
_NETWORK = re.compile(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?")


def read_options(data: bytes, what: str) -> Options:
    """Both lists have this form. Raises `DecodeError`, also for names that are out of order, twice there, empty, or have a NUL."""
    options: list[tuple[str, bytes]] = []
    previous = b""
    offset = 0
    while offset < len(data):
        name, end = read_string(data, offset)
        text, _ = read_text(data, offset)
        value, offset = read_string(data, end)
        if name <= previous:  # an empty name is never above
            raise DecodeError(f"the {what} of the certificate are not sorted by name, or one is there twice: {printable(text, 64)!r}")
        if 0 in name:
            raise DecodeError(f"the name of one of the {what} of the certificate has a NUL in it")
        options.append((text, value))
        previous = name
    return tuple(options)


def write_options(options: Iterable[tuple[str, bytes]]) -> bytes:
    """The inverse; sorts them. Raises `LocalProtocolError` for an empty name, a NUL in one, and the same name twice."""
    out = bytearray()
    previous = ""
    for name, value in sorted(options, key=lambda option: option[0].encode("utf-8", "surrogateescape")):
        if not name or "\0" in name or name == previous:
            raise LocalProtocolError(f"the certificate option {printable(name, 64)!r} is there twice, or its name is empty or has a NUL")
        write_text(out, name)
        write_string(out, value)
        previous = name
    return bytes(out)


def string_option(text: str) -> bytes:
    """The data of an option whose value is a text, such as ``force-command``."""
    out = bytearray()
    write_text(out, text)
    return bytes(out)


def option_text(name: str, data: bytes) -> str:
    """The text in such data. Raises `CertificateError` unless that is one string without a NUL."""
    try:
        text, offset = read_text(data, 0)
    except DecodeError as error:
        raise CertificateError(f"the certificate's {name} option is damaged: {error}") from None
    if offset != len(data) or "\0" in text:
        raise CertificateError(f"the certificate's {name} option is damaged: its value is not one text")
    return text


def permissions_of(critical_options: Options, extensions: Options) -> Permissions:
    """What a user certificate with these allows. Raises `CertificateError` for a critical option that is not known, and damaged ones.

    Extensions that are not known are ignored. ``source-address`` is checked for its form only.
    """
    given = {name for name, data in extensions if name in _FLAG_EXTENSIONS and _flag(name, data)}
    force_command, verify_required = None, False
    for name, data in critical_options:
        if name == FORCE_COMMAND:
            force_command = option_text(name, data)
        elif name == VERIFY_REQUIRED:
            verify_required = _flag(name, data)
        elif name == SOURCE_ADDRESS:
            source_networks(option_text(name, data))
        else:
            raise CertificateError(f"the certificate demands {printable(name, 64)!r}, a critical option that is not supported")
    return attrs.evolve(
        RESTRICTED,
        force_command=force_command,
        verify_required=verify_required,
        touch_required=NO_TOUCH_REQUIRED not in given,
        x11_forwarding="permit-X11-forwarding" in given,
        agent_forwarding="permit-agent-forwarding" in given,
        port_forwarding="permit-port-forwarding" in given,
        terminal="permit-pty" in given,
        user_rc="permit-user-rc" in given,
    )


def _flag(name: str, data: bytes) -> bool:
    if data:
        raise CertificateError(f"the certificate's {name} option is damaged: it has a value")
    return True


def check_source(critical_options: Options, address: str) -> None:
    """Raise `CertificateError` if there is a ``source-address`` that does not have `address`, which is "" for a client without one.

    A list without any address has none.
    """
    for name, data in critical_options:
        if name == SOURCE_ADDRESS:
            allowed = option_text(name, data)
            found = _bare_address(address)
            if found is None or not source_networks(allowed).matches(found):
                where = f"from {printable(address, 64)}" if address else "without an address"
                raise CertificateError(f"the certificate is good for {printable(allowed, 200) or 'no address'}, not for a client {where}")


def source_networks(text: str) -> AddressList:
    """The networks and single addresses of a ``source-address``, with commas between them. Raises `CertificateError` for anything else."""
    items = text.split(",") if text else []
    for item in items:
        if not _NETWORK.fullmatch(item):
            raise CertificateError(f"the certificate's source-address has {printable(item, 64)!r} in it, not an address or a network")
    try:
        return AddressList.of(items)
    except ValueError as error:
        raise CertificateError(f"the certificate's source-address is damaged: {error}") from None


def _bare_address(text: str) -> IPAddress | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
