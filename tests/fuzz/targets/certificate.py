"""Certificates: any bytes are one, or are refused; what is one answers every question with a yes, or with a no that can be shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tests import pairs
from tests.fuzz.choices import Choices, check_text
from trio_ssh import PrivateKey
from trio_ssh.errors import CertificateError, DecodeError, KeyFileError
from trio_ssh.keys import Certificate, CertificateKind, CertificateRequest, describe_certificate, sign_certificate
from trio_ssh.keys.certificate_options import check_source, permissions_of, read_options, write_options

NOW = 1_800_000_000.0
USER_OPTIONS: dict[str, str | bytes] = {"force-command": "ls", "source-address": "192.0.2.0/24,2001:db8::/32", "verify-required": b""}
EXTENSIONS: dict[str, str | bytes] = {"no-touch-required": b"", "permit-pty": b"", "x@example.com": "y"}


@cache
def certificates() -> list[Certificate]:
    made = []
    for kind, key in ((1, pairs.USER_KEY), (2, PrivateKey.generate("ecdsa", 384)), (1, PrivateKey.generate("rsa", 2048))):
        request = CertificateRequest(
            public_key=key.public_key,
            kind=CertificateKind(kind),
            key_id="a key",
            principals=("alice", "*.example.com"),
            critical_options=USER_OPTIONS,
            extensions=EXTENSIONS,
            nonce=bytes(32),
        )
        made.append(sign_certificate(pairs.USER_KEY, request))
    return made


def target(data: bytes) -> None:
    choices = Choices(data)
    choices.pick((_blob, _line, _signed_anew, _options))(choices)


def _blob(choices: Choices) -> None:
    try:
        certificate = Certificate.from_blob(choices.rest())
    except DecodeError as error:
        check_text(error)
        return
    _ask(certificate)


def _line(choices: Choices) -> None:
    try:
        Certificate.from_openssh_line(choices.rest().decode("utf-8", "surrogateescape"))
    except KeyFileError as error:
        check_text(error)


def _signed_anew(choices: Choices) -> None:
    """The fuzzer's bytes, with a signature that holds for them: so that they get beyond it."""
    body = choices.rest()
    signature = pairs.USER_KEY.sign("ssh-ed25519", body)
    try:
        certificate = Certificate.from_blob(body + len(signature).to_bytes(4, "big") + signature)
    except DecodeError as error:
        check_text(error)
        return
    _ask(certificate)


def _options(choices: Choices) -> None:
    try:
        found = read_options(choices.rest(), "options")
    except DecodeError as error:
        check_text(error)
        return
    for act in (lambda: permissions_of(found, found), lambda: permissions_of((), found), lambda: check_source(found, "192.0.2.1")):
        _refused_or_not(act)


def _ask(certificate: Certificate) -> None:
    assert Certificate.from_openssh_line(certificate.to_openssh_line("comment")) == certificate
    assert all(line.isprintable() for line in describe_certificate(certificate))
    for act in (
        lambda: certificate.check_user(("alice",), NOW, "192.0.2.1"),
        lambda: certificate.check_host("www.example.com", NOW),
        certificate.permissions,
    ):
        _refused_or_not(act)
    assert not certificate.verify(certificate.signature_algorithms[0], b"", b"data")
    repr(certificate)


def _refused_or_not(act: Callable[[], object]) -> None:
    try:
        act()
    except CertificateError as error:
        check_text(error)


def seeds() -> list[bytes]:
    found = []
    for certificate in certificates():
        body = certificate.blob[: -(4 + 4 + len("ssh-ed25519") + 4 + 64)]
        found += [b"\0" + certificate.blob, b"\1" + certificate.to_openssh_line("a comment").encode(), b"\2" + body]
    return [*found, b"\3" + write_options(certificates()[0].critical_options), b"\3" + write_options(certificates()[0].extensions)]
