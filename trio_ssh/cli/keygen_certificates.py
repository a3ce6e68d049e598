"""``trio-ssh-keygen`` signs certificates (-s) and shows them (-L)."""

from __future__ import annotations

import datetime
from functools import partial

import attrs
import trio

from .. import KeyFileError, LocalProtocolError, PublicKey, printable
from ..agent import open_agent
from ..keys.certificate_signing import CertificateAuthority, CertificateRequest, sign_certificate
from ..keys.certificate_text import describe_certificate, parse_certificate_options
from ..keys.certificate_times import parse_validity, validity_text
from ..keys.certificates import FOREVER, Certificate, CertificateKind
from .keygen_arguments import SERIAL_MAX, BadValue, CertificateWish, KeygenFailed, Request
from .keygen_files import (
    STDIN,
    PublicLine,
    ask_path,
    load_public,
    open_private,
    read_key,
    read_text_file,
    shown_path,
    text_lines,
    write_public,
)
from .keygen_showing import family
from .prompts import show
from .report import log, say

_FOR_HOSTS_TOO = ("critical:", "extension:", "clear", "no-")


def sign_certificates(request: Request) -> int:
    """-s: a certificate for each public key that is named, in a file beside it. Raises `SSHError`."""
    wish = request.certificate
    assert wish is not None
    plan = _plan(wish)
    authority = _authority(wish, request.old_passphrase)
    algorithm = _algorithm(authority.public_key, request.kind)
    serial = wish.serial
    for path in request.words:
        line = _public_key(path)
        try:
            certificate = sign_certificate(authority, plan(public_key=line.public_key, serial=serial), algorithm)
        except LocalProtocolError as error:
            raise KeygenFailed(f"{printable(path)} cannot be certified: {error}") from None
        target = f"{path.removesuffix('.pub')}-cert.pub"
        write_public(target, certificate.to_openssh_line(line.comment))
        if not request.quiet:
            say(f"Signed {_summary(certificate, target)}")
        if wish.increment:
            serial = (serial + 1) & SERIAL_MAX
    return 0


@attrs.frozen
class AgentAuthority:
    """A key that an agent holds, as an authority (`CertificateAuthority`)."""

    public_key: PublicKey

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """Raises `AgentError`."""
        return trio.run(self._sign, algorithm, data)

    async def _sign(self, algorithm: str, data: bytes) -> bytes:
        async with await open_agent() as agent:
            return await agent.sign(self.public_key, data, algorithm)


def _authority(wish: CertificateWish, passphrase: str | None) -> CertificateAuthority:
    if not wish.ca_in_agent:
        return open_private(wish.ca_path, passphrase).key
    line = load_public(wish.ca_path)
    if line is None or isinstance(line.key, Certificate):
        raise KeygenFailed(f"{printable(wish.ca_path)}: with -U, name the file with the public key of the authority")
    return AgentAuthority(line.key)


def _plan(wish: CertificateWish) -> partial[CertificateRequest]:
    """What all certificates of one command line have in common. Raises `BadValue`."""
    try:
        # A host's certificate permits nothing by itself.
        critical_options, extensions = parse_certificate_options(["clear", *wish.options] if wish.for_host else wish.options)
    except ValueError as error:
        raise BadValue(f"-O: {error}; see CERTIFICATES in ssh-keygen(1)") from None
    if wish.for_host and (odd := [word for word in wish.options if not word.lower().startswith(_FOR_HOSTS_TOO)]):
        raise BadValue(f"-O {printable(odd[0], 100)}: this option is for certificates of users; leave it or -h out")
    now = datetime.datetime.now().timestamp()
    try:
        valid_after, valid_before = (0, FOREVER) if wish.validity is None else parse_validity(wish.validity, now)
    except ValueError as error:
        raise BadValue(f"-V: {error}") from None
    return partial(
        CertificateRequest,
        kind=CertificateKind.HOST if wish.for_host else CertificateKind.USER,
        key_id=wish.key_id,
        principals=wish.principals,
        valid_after=valid_after,
        valid_before=valid_before,
        critical_options=critical_options,
        extensions=extensions,
    )


def _algorithm(authority: PublicKey, name: str | None) -> str | None:
    """-t: how the authority is to sign; None for the usual way. Raises `BadValue`."""
    if name is None or name.lower() == family(authority).lower():
        return None
    if name in authority.signature_algorithms:
        return name
    algorithms = ", ".join(authority.signature_algorithms)
    raise BadValue(f"-t {printable(name, 60)}: the CA's key is of type {authority.algorithm}, and signs by {algorithms}")


def _public_key(path: str) -> PublicLine:
    line = load_public(path)
    if line is None:
        raise KeygenFailed(f"{printable(path)}: there is no public key in it that can be used; name a .pub file")
    if isinstance(line.key, Certificate):
        raise KeygenFailed(f"{printable(path)} is a certificate already; name the .pub file of the key")
    return line


def _summary(certificate: Certificate, path: str) -> str:
    names = f" for {printable(','.join(certificate.principals))}" if certificate.principals else ""
    validity = validity_text(certificate.valid_after, certificate.valid_before)
    key_id = printable(certificate.key_id)
    kind = certificate.kind.name.lower()
    return f'{kind} key {printable(path)}: id "{key_id}" serial {certificate.serial}{names} valid {validity}'


def show_certificates(request: Request) -> int:
    """-L: all certificates in a file; status 1 if there is none. Raises `SSHError`."""
    path = request.path if request.path is not None else ask_path("Enter file in which the key is")
    shown = 0
    for number, text in text_lines(read_text_file(path)):
        try:
            certificate = Certificate.from_openssh_line(text)
        except KeyFileError as error:
            reason = "it is a key, not a certificate" if read_key(text) is not None else str(error)
            log.error("%s line %d: %s", shown_path(path), number, reason)
            continue
        heading = f"{shown_path(path)}:" if number == 1 and path != STDIN else f"{shown_path(path)}:{number}:"
        show("\n".join([heading, *describe_certificate(certificate)]) + "\n")
        shown += 1
    return 0 if shown else 1
