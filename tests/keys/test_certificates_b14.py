"""Hardening row B14: the bad certificates of users and hosts, one by one, and certificates nested in each other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import attrs
import pytest

from tests.keys.raw_certificates import RawCertificate, nested, options, string, strings
from trio_ssh.errors import CertificateError, DecodeError
from trio_ssh.keys import Certificate, CertificateRequest, PrivateKey, sign_certificate

NOW = 1_800_000_000
KEY = PrivateKey.generate()
AUTHORITY = PrivateKey.generate()
RSA_AUTHORITY = PrivateKey.generate("rsa", 2048)
SOUND = RawCertificate(key=KEY.public_key, authority=AUTHORITY)
A_CERTIFICATE = sign_certificate(AUTHORITY, CertificateRequest(public_key=AUTHORITY.public_key))


def raw(**changes: Any) -> bytes:
    return attrs.evolve(SOUND, **changes).blob()


def spoilt(**changes: Any) -> bytes:
    """With a signature that was made before these changes."""
    signature = SOUND.sign or (lambda body: AUTHORITY.sign("ssh-ed25519", SOUND.body()))
    return raw(sign=signature, **changes)


BAD_FOR_USER = {
    "expired": raw(valid_before=NOW),
    "not_valid_yet": raw(valid_after=NOW + 1),
    "another_principal": raw(principals=strings("bob", "alice2", "Alice", "alic")),
    "no_principals": raw(principals=b""),
    "comma_in_a_principal": raw(principals=strings("alice,bob", "bob,alice", ",alice", "alice,")),
    "wildcard_principal": raw(principals=strings("*", "alic?", "!bob", "al*")),
    "257_principals": raw(principals=string("alice") * 257),
    "host_certificate": raw(kind=2),
    "unknown_critical_option": raw(critical=options(("unknown@example.com", b""))),
    "critical_option_twice": raw(critical=options(("force-command", string("a")), ("force-command", string("b")))),
    "another_source": raw(critical=options(("source-address", string("192.0.2.0/24")))),
    "empty_source": raw(critical=options(("source-address", string("")))),
    "authority_is_a_certificate": raw(signature_key=A_CERTIFICATE.blob),
    "changed_after_it_was_signed": spoilt(serial=b"\0" * 7 + b"\1"),
    "signed_by_another_key": raw(signature_key=KEY.public_key.blob),
    "signed_with_sha1": raw(authority=RSA_AUTHORITY, signature_algorithm="ssh-rsa"),
    "signature_algorithm_of_another_key_type": raw(sign=lambda body: RSA_AUTHORITY.sign("rsa-sha2-512", body)),
    "signature_says_another_algorithm": raw(
        authority=RSA_AUTHORITY, sign=lambda body: RSA_AUTHORITY.sign("rsa-sha2-256", body).replace(b"-256", b"-512", 1)
    ),
}
BAD_FOR_HOST = {
    **{
        name: BAD_FOR_USER[name]
        for name in ("authority_is_a_certificate", "changed_after_it_was_signed", "signed_by_another_key", "signed_with_sha1")
    },
    "expired": raw(kind=2, principals=string("host.example"), valid_before=NOW),
    "not_valid_yet": raw(kind=2, principals=string("host.example"), valid_after=NOW + 1),
    "another_host": raw(kind=2, principals=strings("other.example", "host.example.com", "host", "example")),
    "no_principals": raw(kind=2, principals=b""),
    "comma_in_a_principal": raw(kind=2, principals=strings("host.example,other", "other,host.example")),
    "negated_principal": raw(kind=2, principals=strings("!other.example")),
    "wildcard_that_does_not_match": raw(kind=2, principals=strings("*.host.example", "host.example?", "*.net")),
    "257_principals": raw(kind=2, principals=string("host.example") * 257),
    "user_certificate": raw(kind=1, principals=string("host.example")),
    "unknown_critical_option": raw(kind=2, principals=string("host.example"), critical=options(("unknown@example.com", b""))),
    "critical_option_of_users": raw(kind=2, principals=string("host.example"), critical=options(("force-command", string("ls")))),
}


WHY = {
    "expired": "has expired",
    "not_valid_yet": "is not valid yet",
    "257_principals": "more than 256 principals",
    "host_certificate": "host certificate, not a user certificate",
    "user_certificate": "user certificate, not a host certificate",
    "unknown_critical_option": "demands 'unknown@example.com', a critical option that is not supported",
    "critical_option_of_users": "demands 'force-command', a critical option that is not supported",
    "critical_option_twice": "one is there twice: 'force-command'",
    "another_source": "is good for .*, not for a client from",
    "empty_source": "is good for no address",
    "authority_is_a_certificate": "is signed by a certificate, not by a key",
    "changed_after_it_was_signed": "signature of the certificate's authority is wrong",
    "signed_by_another_key": "signature of the certificate's authority is wrong",
    "signature_says_another_algorithm": "signature of the certificate's authority is wrong",
    "signed_with_sha1": "is signed by 'ssh-rsa', which a key of type ssh-rsa may not do",
    "signature_algorithm_of_another_key_type": "is signed by 'rsa-sha2-512', which a key of type ssh-ed25519 may not do",
}
"""The others are not for whom they are shown."""


@pytest.mark.parametrize("name", BAD_FOR_USER)
def test_b14_bad_certificate_of_a_user(name):
    Certificate.from_blob(raw()).check_user(("alice",), NOW, "198.51.100.1")  # without the one fault it is good
    with pytest.raises((DecodeError, CertificateError), match=WHY.get(name, "is not for this login but for")):
        Certificate.from_blob(BAD_FOR_USER[name]).check_user(("alice",), NOW, "198.51.100.1")


@pytest.mark.parametrize("name", BAD_FOR_HOST)
def test_b14_bad_certificate_of_a_host(name):
    Certificate.from_blob(raw(kind=2, principals=strings("other", "*.example"))).check_host("host.example", NOW)
    with pytest.raises((DecodeError, CertificateError), match=WHY.get(name, "is not for 'host.example' but for")):
        Certificate.from_blob(BAD_FOR_HOST[name]).check_host("host.example", NOW)


def test_b14_principals_are_items_and_never_a_text_with_commas():
    certificate = Certificate.from_blob(raw(principals=strings("alice,bob")))
    assert certificate.principals == ("alice,bob",)
    certificate.check_user(("alice,bob",), NOW, "")
    for accepted in (("alice",), ("bob",), ("alice", "bob")):
        with pytest.raises(CertificateError, match="is not for this login"):
            certificate.check_user(accepted, NOW, "")


def test_b14_wildcards_stand_only_in_certificates_of_hosts():
    Certificate.from_blob(raw(kind=2, principals=strings("*"))).check_host("any.host", NOW)
    with pytest.raises(CertificateError, match="is not for this login"):
        Certificate.from_blob(raw(principals=strings("*"))).check_user(("alice",), NOW, "")
    with pytest.raises(CertificateError, match="is not for this login"):  # nor in what is accepted
        Certificate.from_blob(raw(principals=strings("alice"))).check_user(("*",), NOW, "")


def calls_of(act: Callable[[], object]) -> int:
    """How many functions of the package are called."""
    count = 0

    def tally(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call" and frame.f_globals.get("__name__", "").startswith("trio_ssh.")

    before = sys.getprofile()
    sys.setprofile(tally)
    try:
        act()
    finally:
        sys.setprofile(before)
    return count


def refuse(blob: bytes) -> None:
    with pytest.raises(DecodeError, match="is signed by a certificate, not by a key"):
        Certificate.from_blob(blob)


def test_b14_nested_certificates_cost_what_one_costs():
    """10,000 deep: the outermost is refused by the type of its authority, before anything inside is looked at."""
    deep, shallow = nested(10_000, KEY.public_key), nested(2, KEY.public_key)
    assert len(deep) > 1_000_000
    calls = calls_of(lambda: refuse(shallow))
    assert 10 < calls < 60
    assert calls_of(lambda: refuse(deep)) == calls


def test_e05_a_host_principal_full_of_stars_is_linear():
    for principal in ("*a" * 32 + "b", "*a" * 50_000 + "*"):
        certificate = Certificate.from_blob(raw(kind=2, principals=strings(principal)))
        with pytest.raises(CertificateError):
            certificate.check_host("a" * 10_000, NOW)
