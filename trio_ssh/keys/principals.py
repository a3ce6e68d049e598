"""Files of principals (sshd_config(5), AuthorizedPrincipalsFile): for whom a trusted authority's certificates let somebody into an account.

Each line is a name, with the options of authorized_keys before it where there are any. As there, it is obeyed whole or not at all.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

import attrs

from ..errors import KeyFileError, printable
from .authorized_keys import AUTHORIZED_KEYS_BYTES_MAX, Claim, Refusal, narrowed_permissions, obeyed_lines
from .files import Path, read_regular_file
from .key_options import KeyOptions, read_key_options
from .lines import SkippedLine
from .permissions import Permissions

_logger = logging.getLogger("trio_ssh.authorized_principals")

_QUOTED = r'"(?:\\"|[^"])*+"'
_BEFORE_COMMENT = re.compile(rf'(?:[^"#]|{_QUOTED})*+')
_FIRST_FIELD = re.compile(rf'(?:[^" \t]|{_QUOTED})*+')


@attrs.frozen
class AuthorizedPrincipal:
    """A name that a certificate may be for, what the line says about it, and the number of the line, from 1 (0: no file's)."""

    name: str
    options: KeyOptions = attrs.field(factory=KeyOptions)
    line: int = 0


@attrs.frozen
class ParsedPrincipals:
    """The lines that count, and those that do not with the reason."""

    entries: tuple[AuthorizedPrincipal, ...]
    skipped: tuple[SkippedLine, ...]


def permissions_by_principals(entries: Iterable[AuthorizedPrincipal], claim: Claim) -> Permissions | Refusal:
    """What the first entry whose name is among the principals of the claim's certificate allows, together with the certificate.

    Only that entry counts, as with sshd. Names are compared as they are, each as a whole. The claim must have a certificate.
    """
    assert claim.certificate is not None
    for entry in entries:
        if entry.name in claim.certificate.principals:
            answer = narrowed_permissions(entry.options, claim, [entry.name])
            if isinstance(answer, Refusal):
                return Refusal(f"principal {printable(entry.name, 64)!r}, line {entry.line}: {answer.reason}")
            return answer
    return Refusal("the certificate has no principal that is let into this account")


def read_authorized_principals(path: Path) -> ParsedPrincipals:
    """Parse a file. Raises `KeyFileError` if it cannot be read, is not a regular file, or is larger than any that would be obeyed."""
    return parse_authorized_principals(read_regular_file(path, AUTHORIZED_KEYS_BYTES_MAX), str(path))


def parse_authorized_principals(text: str | bytes, path: str) -> ParsedPrincipals:
    """Parse the content of such a file; `path` is only named in the report. Raises nothing.

    Skipped lines are logged to ``trio_ssh.authorized_principals``. At most 1,000 lines of 16 KiB each are obeyed.
    """
    return ParsedPrincipals(*obeyed_lines(text, path, _parse_line, _logger))


def _parse_line(number: int, line: bytes) -> AuthorizedPrincipal:
    whole = line.decode("utf-8", "surrogateescape")
    found = _BEFORE_COMMENT.match(whole)
    assert found is not None  # it matches the empty string as well
    if whole[found.end() :].startswith('"'):
        raise KeyFileError("there is a quote that is never closed")
    text = found.group().rstrip(" \t")
    options, name = _split(text)
    if not name or re.search(r'[ \t"]', name):
        raise KeyFileError("it is not the name of a principal, with options before it or without")
    if options.cert_authority:
        raise KeyFileError("the option cert-authority is for keys, not for principals")
    return AuthorizedPrincipal(name, options, number)


def _split(text: str) -> tuple[KeyOptions, str]:
    """One field is a name, whatever it looks like; of several the first is the options."""
    first = _FIRST_FIELD.match(text)
    assert first is not None
    return (KeyOptions(), text) if first.end() == len(text) else read_key_options(text)
