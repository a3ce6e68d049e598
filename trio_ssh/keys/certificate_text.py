"""Certificates as ``ssh-keygen`` shows them (``-L``), and the options of one as it takes them (``-O``)."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import CertificateError, printable
from .certificate_options import (
    FORCE_COMMAND,
    NO_TOUCH_REQUIRED,
    PERMIT_EXTENSIONS,
    SOURCE_ADDRESS,
    VERIFY_REQUIRED,
    Options,
    option_text,
    source_networks,
    string_option,
)
from .certificate_times import validity_text
from .certificates import Certificate
from .key import PublicKey

_SHORT_TYPES = {
    "ssh-ed25519": "ED25519",
    "ecdsa-sha2-nistp256": "ECDSA",
    "ecdsa-sha2-nistp384": "ECDSA",
    "ecdsa-sha2-nistp521": "ECDSA",
    "ssh-rsa": "RSA",
    "sk-ssh-ed25519@openssh.com": "ED25519-SK",
    "sk-ecdsa-sha2-nistp256@openssh.com": "ECDSA-SK",
}
_FIRST, _SECOND = " " * 8, " " * 16
_FLAGS = {True: (VERIFY_REQUIRED,), False: (NO_TOUCH_REQUIRED, *PERMIT_EXTENSIONS)}
_FLAG_OF_WORD = {name.lower(): name for name in (VERIFY_REQUIRED, NO_TOUCH_REQUIRED, *PERMIT_EXTENSIONS)}
_VALUE_OPTIONS = (FORCE_COMMAND, SOURCE_ADDRESS)


def describe_certificate(certificate: Certificate) -> list[str]:
    """The lines that ``ssh-keygen -L`` prints of a certificate, below the one with the file's name. No line has a control character."""
    return [
        f"{_FIRST}Type: {certificate.algorithm} {certificate.kind.name.lower()} certificate",
        f"{_FIRST}Public key: {_short_type(certificate.public_key)}-CERT {certificate.public_key.fingerprint()}",
        f"{_FIRST}Signing CA: {_short_type(certificate.authority)} {certificate.authority.fingerprint()}"
        f" (using {certificate.authority_algorithm})",
        f'{_FIRST}Key ID: "{printable(certificate.key_id)}"',
        f"{_FIRST}Serial: {certificate.serial}",
        f"{_FIRST}Valid: {validity_text(certificate.valid_after, certificate.valid_before)}",
        *_list("Principals", [printable(principal) for principal in certificate.principals]),
        *_list("Critical Options", [_option_line(*option, critical=True) for option in certificate.critical_options]),
        *_list("Extensions", [_option_line(*option, critical=False) for option in certificate.extensions]),
    ]


def _short_type(key: PublicKey) -> str:
    return _SHORT_TYPES.get(key.algorithm, key.algorithm)


def _list(title: str, lines: list[str]) -> list[str]:
    return [f"{_FIRST}{title}: ", *(f"{_SECOND}{line}" for line in lines)] if lines else [f"{_FIRST}{title}: (none)"]


def _option_line(name: str, data: bytes, *, critical: bool) -> str:
    shown = printable(name)
    if name in _FLAGS[critical] and not data:
        return shown
    if critical and name in _VALUE_OPTIONS:
        try:
            return f"{shown} {printable(option_text(name, data))}"
        except CertificateError:
            return f"{shown} DAMAGED: {printable(data.hex())}"
    return f"{shown} UNKNOWN OPTION: {printable(data.hex())} (len {len(data)})" if data else f"{shown} UNKNOWN FLAG OPTION"


def parse_certificate_options(words: Iterable[str]) -> tuple[Options, Options]:
    """The critical options and the extensions of a user certificate that the ``-O`` of ssh-keygen(1), in their order, ask for.

    Without any, everything is permitted. `ValueError` says which word is none, or contradicts another.
    """
    critical: dict[str, bytes] = {}
    extensions: dict[str, bytes] = {}
    flags = set(PERMIT_EXTENSIONS)
    for word in words:
        name, equals, value = word.partition("=")
        if name.lower().startswith(("critical:", "extension:")):
            kind, _, name = name.partition(":")
            _add(word, critical if kind.lower() == "critical" else extensions, name, string_option(value) if equals else b"")
        elif name.lower() in _VALUE_OPTIONS:
            _add(word, critical, name.lower(), _checked_value(word, name.lower(), value))
        elif name.lower() == "clear" and not equals:
            flags.clear()
        else:
            _set_flag(word, flags)
    for flag in sorted(flags):
        _add(flag, critical if flag == VERIFY_REQUIRED else extensions, flag, b"")
    return tuple(critical.items()), tuple(extensions.items())


def _set_flag(word: str, flags: set[str]) -> None:
    name = word.lower()
    if name in _FLAG_OF_WORD:
        flags.add(_FLAG_OF_WORD[name])
    elif name.startswith("no-") and (permit := name.replace("no-", "permit-", 1)) in _FLAG_OF_WORD:
        flags.discard(_FLAG_OF_WORD[permit])
    else:
        raise ValueError(f"{_shown(word)} is not an option of certificates")


def _checked_value(word: str, name: str, value: str) -> bytes:
    if not value or "\0" in value:
        raise ValueError(f"{_shown(word)}: the value of {name} is missing or has a NUL in it")
    if name == SOURCE_ADDRESS:
        try:
            source_networks(value)
        except CertificateError as error:
            raise ValueError(f"{_shown(word)}: {error}") from None
    return string_option(value)


def _add(word: str, options: dict[str, bytes], name: str, data: bytes) -> None:
    if not name or options.get(name, data) != data:
        raise ValueError(f"{_shown(word)}: the option has no name, or was given another value before")
    options[name] = data


def _shown(word: str) -> str:
    return repr(printable(word, 64))
