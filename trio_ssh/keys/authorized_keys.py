"""authorized_keys text (sshd(8), AUTHORIZED_KEYS FILE FORMAT): which keys may log in, and what they may do then.

A line is obeyed whole or not at all: one with an unknown or malformed option is skipped, because obeying its key without its options
would grant more than its writer meant to. A plain key is looked for among plain lines only, a certificate among those of authorities.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs

from ..errors import CertificateError, DecodeError, KeyFileError, printable
from .blobs import is_key_type
from .certificates import Certificate
from .files import Path, read_regular_file
from .key import PublicKey, blob_of_fields
from .key_options import KeyOptions, read_key_options
from .lines import SkippedLine, entry_lines, log_skipped
from .permissions import PermissionConflict, Permissions

AUTHORIZED_KEYS_LINES_MAX = 1000
AUTHORIZED_KEYS_LINE_BYTES_MAX = 16 * 1024
AUTHORIZED_KEYS_BYTES_MAX = AUTHORIZED_KEYS_LINES_MAX * AUTHORIZED_KEYS_LINE_BYTES_MAX

_logger = logging.getLogger("trio_ssh.authorized_keys")

T = TypeVar("T")


@attrs.frozen
class AuthorizedKey:
    """One line: the key, its options, its comment, and the number of the line, from 1."""

    key: PublicKey
    options: KeyOptions
    comment: str
    line: int


@attrs.frozen
class ParsedAuthorizedKeys:
    """The lines that count, and those that do not with the reason."""

    entries: tuple[AuthorizedKey, ...]
    skipped: tuple[SkippedLine, ...]


@attrs.frozen(kw_only=True)
class Claim:
    """Somebody who wants to log in by a key, or by a certificate (then `public_key` says nothing).

    `address` is the client's IP address as text, "" if it has none; `now` is in seconds since 1970. That the client holds the key is
    for others to check.
    """

    username: str
    address: str
    now: float
    public_key: PublicKey | None = None
    certificate: Certificate | None = None


@attrs.frozen
class Refusal:
    """Why a claim does not hold; for logs, not for the client."""

    reason: str


def permissions_for(entries: Iterable[AuthorizedKey], claim: Claim) -> Permissions | Refusal:
    """What the first line that lets the claim in allows; as narrow as both say where a certificate has limits of its own.

    A certificate needs the line of its authority. Its principals must have one of ``principals=`` among them, else the username.
    """
    refusal = Refusal("no line has this key" if claim.certificate is None else "no line has this certificate's authority")
    for entry in entries:
        if not _concerns(entry, claim):
            continue
        answer = narrowed_permissions(entry.options, claim, entry.options.principals)
        if isinstance(answer, Permissions):
            return answer
        refusal = Refusal(f"line {entry.line}: {answer.reason}")
    return refusal


def _concerns(entry: AuthorizedKey, claim: Claim) -> bool:
    if claim.certificate is not None:
        return entry.options.cert_authority and entry.key == claim.certificate.authority
    return not entry.options.cert_authority and entry.key == claim.public_key


def narrowed_permissions(options: KeyOptions, claim: Claim, principals: Iterable[str] | None) -> Permissions | Refusal:
    """What `options` and the claim's certificate, if it has one, allow together.

    The certificate must be for one of `principals`; None is the username.
    """
    if reason := options.refusal(claim.address, claim.now):
        return Refusal(reason)
    if claim.certificate is None:
        return options.permissions
    names = (claim.username,) if principals is None else tuple(principals)
    try:
        claim.certificate.check_user(names, claim.now, claim.address)
        return options.permissions.narrowed_by(claim.certificate.permissions())
    except (CertificateError, PermissionConflict) as error:
        return Refusal(str(error))


def read_authorized_keys(path: Path) -> ParsedAuthorizedKeys:
    """Parse a file. Raises `KeyFileError` if it cannot be read, is not a regular file, or is larger than any that would be obeyed."""
    return parse_authorized_keys(read_regular_file(path, AUTHORIZED_KEYS_BYTES_MAX), str(path))


def read_authorities(path: Path) -> frozenset[PublicKey]:
    """The keys in a file of trusted authorities (TrustedUserCAKeys): lines as in authorized_keys, without options. Raises as above."""
    content = read_regular_file(path, AUTHORIZED_KEYS_BYTES_MAX)
    return frozenset(obeyed_lines(content, str(path), _parse_authority, _logger)[0])


def parse_authorized_keys(text: str | bytes, path: str) -> ParsedAuthorizedKeys:
    """Parse the content of an authorized_keys file; `path` is only named in the report. Raises nothing.

    Skipped lines are logged to ``trio_ssh.authorized_keys``. At most 1,000 lines of 16 KiB each are obeyed.
    """
    return ParsedAuthorizedKeys(*obeyed_lines(text, path, _parse_line, _logger))


def obeyed_lines(
    text: str | bytes, path: str, parse: Callable[[int, bytes], T], logger: logging.Logger
) -> tuple[tuple[T, ...], tuple[SkippedLine, ...]]:
    """Each line by `parse`, called with its number and what stands in it; what it refuses by `KeyFileError` or `DecodeError` is skipped."""
    content = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
    entries: list[T] = []
    skipped: list[SkippedLine] = []
    for number, line, reason in entry_lines(content, AUTHORIZED_KEYS_LINE_BYTES_MAX):
        if number > AUTHORIZED_KEYS_LINES_MAX:
            reason = f"only {AUTHORIZED_KEYS_LINES_MAX} lines are read: this one and all behind it are not"
            skipped.append(SkippedLine(path, number, reason))
            break
        try:
            if reason:
                raise DecodeError(reason)
            entries.append(parse(number, line))
        except (DecodeError, KeyFileError) as error:
            skipped.append(SkippedLine(path, number, str(error)))
    log_skipped(logger, skipped)
    return tuple(entries), tuple(skipped)


def _parse_line(number: int, line: bytes) -> AuthorizedKey:
    if _starts_with_key_type(line):
        return _parse_key(number, KeyOptions(), line)
    _check_no_unknown_key(line)
    options, rest = read_key_options(line.decode("utf-8", "surrogateescape"))
    key = rest.encode("utf-8", "surrogateescape")
    if not key or not _starts_with_key_type(key):
        _check_no_unknown_key(key)
        raise DecodeError("there is no key behind the options")
    return _parse_key(number, options, key)


def _parse_authority(number: int, line: bytes) -> PublicKey:
    entry = _parse_line(number, line)
    if entry.options != KeyOptions():
        raise KeyFileError("a list of trusted authorities takes no options, so their limits could not be held")
    return entry.key


def _starts_with_key_type(line: bytes) -> bool:
    return is_key_type(line.split(None, 1)[0].decode("ascii", "replace"))


def _parse_key(number: int, options: KeyOptions, line: bytes) -> AuthorizedKey:
    fields = line.split(None, 2)
    if len(fields) < 2:
        raise DecodeError("the key is missing behind its type")
    key = PublicKey.from_blob(blob_of_fields(fields[0].decode("ascii"), fields[1].decode("ascii", "replace")))
    comment = fields[2].decode("utf-8", "backslashreplace") if len(fields) > 2 else ""
    return AuthorizedKey(key, options, comment, number)


def _check_no_unknown_key(line: bytes) -> None:
    """Say more than "unknown option" where there is a sound key of a type that we do not support, or a certificate."""
    fields = line.split(None, 2)
    if len(fields) < 2:
        return
    try:
        blob_of_fields(fields[0].decode("ascii", "replace"), fields[1].decode("ascii", "replace"))
    except DecodeError:
        return
    raise DecodeError(f"key type {printable(fields[0], 64)!r} is not supported")
