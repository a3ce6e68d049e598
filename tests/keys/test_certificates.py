"""Certificates: made and read again, what is in them, whom and when they are good for. The bad ones are in test_certificates_b14.py."""

from __future__ import annotations

import math

import pytest

from tests.keys.conftest import KINDS
from tests.keys.raw_certificates import FOREVER, RawCertificate, options, string, strings
from tests.keys.software_keys import SoftwareKey
from trio_ssh.errors import CertificateError, DecodeError, KeyFileError, LocalProtocolError
from trio_ssh.keys import (
    CERTIFICATE_ALGORITHMS,
    CERTIFICATE_KEY_TYPES,
    Certificate,
    CertificateKind,
    CertificateRequest,
    CertifiedKey,
    PrivateKey,
    sign_certificate,
)
from trio_ssh.keys.certificates import KEY_TYPE_OF_CERTIFICATE_ALGORITHM, LEGACY_CERTIFICATE_ALGORITHMS, plain_algorithm
from trio_ssh.keys.permissions import RESTRICTED

NOW = 1_800_000_000.0
PERMITS = ("permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc")


@pytest.fixture(scope="session")
def authority() -> PrivateKey:
    return PrivateKey.generate(comment="authority")


def user_certificate(authority, key, **fields) -> Certificate:
    return sign_certificate(authority, CertificateRequest(public_key=key.public_key, **{"principals": ("alice",), **fields}))


def host_certificate(authority, key, *principals, **fields) -> Certificate:
    return user_certificate(authority, key, kind=CertificateKind.HOST, principals=principals, **fields)


# --- made, and read again ----------------------------------------------------------------------------------------------------------------


def test_every_type_of_key_comes_back_as_it_was_certified(key, authority):
    request = CertificateRequest(
        public_key=key.public_key,
        kind=CertificateKind.USER,
        key_id="key of älice",
        principals=["alice", "bob"],
        serial=FOREVER,
        valid_after=1,
        valid_before=FOREVER - 1,
        critical_options={"verify-required": b"", "force-command": "ls -l"},
        extensions=[("permit-pty", b""), ("a@example.com", "x")],
    )
    made = sign_certificate(authority, request)
    certificate = Certificate.from_blob(made.blob)
    assert certificate == made
    assert hash(certificate) == hash(made)
    assert CERTIFICATE_KEY_TYPES[certificate.algorithm] == key.public_key.algorithm
    assert certificate.public_key == key.public_key
    assert (certificate.serial, certificate.kind, certificate.key_id) == (FOREVER, CertificateKind.USER, "key of älice")
    assert certificate.principals == ("alice", "bob")
    assert (certificate.valid_after, certificate.valid_before) == (1, FOREVER - 1)
    assert certificate.critical_options == (("force-command", string("ls -l")), ("verify-required", b""))
    assert certificate.extensions == (("a@example.com", string("x")), ("permit-pty", b""))
    assert (certificate.authority, certificate.authority_algorithm) == (authority.public_key, "ssh-ed25519")


def test_every_type_of_key_is_an_authority(any_key, keys):
    for algorithm in any_key.public_key.signature_algorithms:
        request = CertificateRequest(public_key=keys["ed25519"].public_key, principals=("alice",))
        certificate = sign_certificate(any_key, request, algorithm)
        assert Certificate.from_blob(certificate.blob).authority_algorithm == algorithm
        assert certificate.authority == any_key.public_key


@pytest.mark.parametrize("key_type", ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"])
def test_security_keys_are_certified_and_are_authorities(key_type, authority):
    security_key = SoftwareKey.generate(key_type)
    certificate = user_certificate(authority, security_key)
    assert Certificate.from_blob(certificate.blob).public_key == security_key.public_key
    for algorithm in certificate.signature_algorithms:
        assert certificate.verify(algorithm, security_key.sign(plain_algorithm(algorithm), b"data"), b"data")
        assert not certificate.verify(algorithm, security_key.sign(plain_algorithm(algorithm), b"data"), b"date")
    assert user_certificate(security_key, authority).authority_algorithm == key_type


def test_an_authority_that_signs_elsewhere(authority, keys):
    request = CertificateRequest(public_key=keys["rsa"].public_key, principals=("alice",))
    signature = authority.sign("ssh-ed25519", request.to_be_signed(authority.public_key))
    assert request.signed_by(authority.public_key, signature).principals == ("alice",)
    with pytest.raises(LocalProtocolError, match="signature of the certificate's authority is wrong"):
        request.signed_by(authority.public_key, authority.sign("ssh-ed25519", b"something else"))


def test_every_certificate_has_a_nonce_of_its_own(authority, keys):
    assert user_certificate(authority, keys["ed25519"]) != user_certificate(authority, keys["ed25519"])
    same = [user_certificate(authority, keys["ed25519"], nonce=b"n" * 32) for _ in range(2)]
    assert same[0] == same[1]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"serial": -1}, "serial number -1 is not between"),
        ({"serial": FOREVER + 1}, "is not between"),
        ({"valid_after": -1}, "begin -1 is not"),
        ({"valid_before": FOREVER + 1}, "end .* is not"),
        ({"valid_after": 5, "valid_before": 5}, "never be valid"),
        ({"principals": [f"p{n}" for n in range(257)]}, "at most 256 principals, not 257"),
        ({"principals": [""]}, "empty or has a NUL"),
        ({"principals": ["a\0b"]}, "empty or has a NUL"),
        ({"key_id": "a\0b"}, "key id has a NUL"),
        ({"critical_options": [("a", b""), ("a", b"")]}, "there twice"),
        ({"extensions": [("", b"")]}, "its name is empty"),
        ({"extensions": [("a\0", b"")]}, "has a NUL"),
        ({"key_id": "\ud800"}, "surrogate"),
    ],
)
def test_what_cannot_stand_in_a_certificate_is_not_signed(fields, reason, authority, keys):
    with pytest.raises(LocalProtocolError, match=reason):
        user_certificate(authority, keys["ed25519"], **fields)


def test_what_cannot_be_certified(authority, keys):
    request = CertificateRequest(public_key=keys["ed25519"].public_key)
    with pytest.raises(LocalProtocolError, match="cannot sign certificates by 'ssh-rsa'"):
        sign_certificate(keys["rsa"], request, "ssh-rsa")
    with pytest.raises(LocalProtocolError, match="cannot sign certificates by 'rsa-sha2-512'"):
        sign_certificate(authority, request, "rsa-sha2-512")
    with pytest.raises(LocalProtocolError, match="no certificates for keys of type ssh-ed448"):
        user_certificate(authority, PrivateKey.generate("ed448"))
    with pytest.raises(ValueError, match="a list of names"):
        CertificateRequest(public_key=keys["ed25519"].public_key, principals="alice")


def test_lines(authority, keys):
    certificate = user_certificate(authority, keys["nistp384"])
    line = certificate.to_openssh_line("a comment\nwith a break")
    assert line.endswith(" a comment with a break")
    assert Certificate.from_openssh_line(line) == certificate
    assert Certificate.from_openssh_line(f" {certificate.to_openssh_line()}\r\n".replace(" ", " \t ")) == certificate
    for bad in ("", "ssh-ed25519-cert-v01@openssh.com", line.replace("nistp384", "nistp256", 1), keys["rsa"].public_key.to_openssh_line()):
        with pytest.raises(KeyFileError, match="not a certificate line"):
            Certificate.from_openssh_line(bad)


# --- signatures by the certified key -----------------------------------------------------------------------------------------------------


def test_the_algorithms_of_a_certificate(authority, keys):
    assert user_certificate(authority, keys["rsa"]).signature_algorithms == (
        "rsa-sha2-512-cert-v01@openssh.com",
        "rsa-sha2-256-cert-v01@openssh.com",
    )
    assert user_certificate(authority, keys["rsa"]).all_signature_algorithms[2:] == ("ssh-rsa-cert-v01@openssh.com",)
    assert user_certificate(authority, keys["nistp521"]).all_signature_algorithms == ("ecdsa-sha2-nistp521-cert-v01@openssh.com",)
    assert "ssh-rsa-cert-v01@openssh.com" not in CERTIFICATE_ALGORITHMS
    assert set(KEY_TYPE_OF_CERTIFICATE_ALGORITHM) == {*CERTIFICATE_ALGORITHMS, *LEGACY_CERTIFICATE_ALGORITHMS}
    assert set(KEY_TYPE_OF_CERTIFICATE_ALGORITHM.values()) == set(CERTIFICATE_KEY_TYPES)


def test_b13_the_algorithm_the_key_and_the_signature_must_agree(authority, keys):
    """Only the algorithm of a certificate of this very type, with the plain one in the signature, holds."""
    data = b"data to be signed"
    holds = []
    certifiable = {name: keys[name] for name in KINDS}
    for name, key in certifiable.items():
        certificate = user_certificate(authority, key)
        for signed_by in key.public_key.all_signature_algorithms:
            signature = key.sign(signed_by, data)
            for declared in (*CERTIFICATE_ALGORITHMS, *LEGACY_CERTIFICATE_ALGORITHMS, *CERTIFICATE_ALGORITHMS.values()):
                if certificate.verify(declared, signature, data):
                    holds.append((name, signed_by, declared))
    suffix = "-cert-v01@openssh.com"
    assert sorted(holds) == sorted(
        (name, plain, plain + suffix) for name, key in certifiable.items() for plain in key.public_key.signature_algorithms
    )


def test_b13_sha1_holds_only_where_it_is_named(authority, keys):
    certificate, signature = user_certificate(authority, keys["rsa"]), keys["rsa"].sign("ssh-rsa", b"data")
    assert not certificate.verify("ssh-rsa-cert-v01@openssh.com", signature, b"data")
    assert certificate.verify("ssh-rsa-cert-v01@openssh.com", signature, b"data", legacy=True)
    assert not certificate.verify("rsa-sha2-256-cert-v01@openssh.com", signature, b"data", legacy=True)


def test_plain_algorithms():
    assert plain_algorithm("rsa-sha2-256-cert-v01@openssh.com") == "rsa-sha2-256"
    assert plain_algorithm("ssh-rsa-cert-v01@openssh.com") == "ssh-rsa"
    with pytest.raises(KeyError):
        plain_algorithm("ssh-ed25519")


def test_a_certified_key_signs(authority, key, tmp_path):
    certified = CertifiedKey(key, user_certificate(authority, key))
    for algorithm in certified.signature_algorithms:
        assert certified.certificate.verify(algorithm, certified.sign(algorithm, b"data"), b"data")
    with pytest.raises(LocalProtocolError, match="cannot sign by 'ssh-ed25519'"):
        certified.sign("ssh-ed25519", b"data")


def test_a_certified_key_of_files(authority, keys, tmp_path):
    path, key = tmp_path / "id", keys["ed25519"]
    key.write_file(path, "secret")
    certificate = user_certificate(authority, key)
    (tmp_path / "id-cert.pub").write_text(f"# made in a test\n\n{certificate.to_openssh_line()}\n")
    assert CertifiedKey.from_files(path, passphrase="secret") == CertifiedKey(key, certificate)
    other = tmp_path / "other"
    other.write_text(user_certificate(authority, keys["rsa"]).to_openssh_line())
    with pytest.raises(KeyFileError, match=r"other: the certificate is for the key SHA256:.*, not for SHA256:.*; sign the key again"):
        CertifiedKey.from_files(path, other, "secret")
    with pytest.raises(LocalProtocolError, match="the certificate is for the key"):
        CertifiedKey(keys["rsa"], certificate)
    other.write_text(f"\n{key.public_key.to_openssh_line()}\n")
    with pytest.raises(KeyFileError, match="other line 2: not a certificate line: certificate type 'ssh-ed25519'") as caught:
        CertifiedKey.from_files(path, other, "secret")
    assert caught.value.line == 2
    other.write_text("# nothing\n")
    with pytest.raises(KeyFileError, match="other: there is no certificate in it"):
        CertifiedKey.from_files(path, other, "secret")
    with pytest.raises(KeyFileError, match="cannot be read"):
        CertifiedKey.from_files(path, tmp_path / "missing", "secret")


# --- what is refused when a blob is read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"algorithm": "ssh-ed25519"}, "certificate type 'ssh-ed25519' is not supported"),
        ({"algorithm": "ssh-ed25519-cert-v00@openssh.com"}, "not supported"),
        ({"algorithm": "ssh-dss-cert-v01@openssh.com"}, "not supported"),
        ({"algorithm": "rsa-sha2-512-cert-v01@openssh.com"}, "not supported"),
        ({"algorithm": "ssh-rsa-cert-v01@openssh.com"}, "are left"),
        ({"kind": 0}, "for a user .* or a host .*, not 0"),
        ({"kind": 3}, "not 3"),
        ({"key_id": b"a\0b"}, "key id of the certificate has a NUL"),
        ({"principals": b"\0\0"}, "uint32 is cut off"),
        ({"principals": string("alice") + b"\0\0\0\5bob"}, "only 3 are left"),
        ({"principals": strings("alice", "")}, "principal of the certificate is empty"),
        ({"principals": strings("a\0b")}, "NUL"),
        ({"critical": options(("b", b""), ("a", b""))}, "critical options of the certificate are not sorted"),
        ({"critical": options(("a", b""), ("a", b""))}, "there twice: 'a'"),
        ({"critical": options(("", b""))}, "not sorted by name"),
        ({"critical": options(("a\0", b""))}, "NUL"),
        ({"critical": string("a")}, "uint32 is cut off"),
        ({"extensions": options(("permit-pty", b""), ("permit-X11-forwarding", b""))}, "extensions of the certificate are not sorted"),
        ({"extensions": b"\0"}, "uint32 is cut off"),
        ({"signature_key": b""}, "uint32 is cut off"),
        ({"signature_key": strings("ssh-dss", b"")}, "'ssh-dss' is not supported"),
        ({"tail": b"\0"}, "1 bytes follow the end of the certificate"),
    ],
)
def test_a_malformed_certificate_is_refused(change, reason, authority, keys):
    with pytest.raises(DecodeError, match=reason):
        Certificate.from_blob(RawCertificate(key=keys["ed25519"].public_key, authority=authority, **change).blob())


def test_no_cut_and_no_changed_byte_gets_through(authority, keys):
    blob = user_certificate(authority, keys["ed25519"]).blob
    for length in range(len(blob)):
        with pytest.raises(DecodeError):
            Certificate.from_blob(blob[:length])
    for place in range(len(blob)):
        changed = bytearray(blob)
        changed[place] ^= 0x01
        with pytest.raises(DecodeError):
            Certificate.from_blob(bytes(changed))


def test_what_is_not_understood_but_harmless_is_taken(authority, keys):
    raw = RawCertificate(key=keys["ed25519"].public_key, authority=authority, nonce=b"", reserved=b"for later", key_id=b"\xff\xfe")
    certificate = Certificate.from_blob(raw.blob())
    assert certificate.key_id == "\udcff\udcfe"
    certificate.check_user(("alice",), NOW, "")


def test_e10_the_certified_key_is_checked_like_any_other(authority, keys):
    key = keys["ed25519"].public_key
    raw = RawCertificate(key=key, authority=authority).blob().replace(string(key.blob[19:]), string(bytes(31)), 1)
    with pytest.raises(DecodeError, match="32 bytes, not 31"):
        Certificate.from_blob(raw)


# --- whom it is good for, and when -------------------------------------------------------------------------------------------------------


def test_the_time_of_a_certificate(authority, keys):
    certificate = user_certificate(authority, keys["ed25519"], valid_after=1000, valid_before=2000, key_id="the key\n", serial=7)
    certificate.check_user(("alice",), 1000, "")
    certificate.check_user(("alice",), 1999.999, "")
    with pytest.raises(CertificateError, match="is not valid yet"):
        certificate.check_user(("alice",), 999.999, "")
    for late in (2000, math.inf, math.nan):
        with pytest.raises(CertificateError, match=r"has expired \(key id 'the key\\\\n', serial 7\)"):
            certificate.check_user(("alice",), late, "")


def test_flt_19_the_time_is_whatever_the_caller_says(authority, keys):
    """Clocks that jump by a year change the answer of the next check and nothing else: nothing is remembered."""
    certificate = user_certificate(authority, keys["ed25519"], valid_after=int(NOW) - 60, valid_before=int(NOW) + 60)
    year = 365 * 86400.0
    for now, good in ((NOW, True), (NOW - year, False), (NOW, True), (NOW + year, False), (NOW, True)):
        if good:
            certificate.check_user(("alice",), now, "")
        else:
            with pytest.raises(CertificateError):
                certificate.check_user(("alice",), now, "")


def test_always_and_forever(authority, keys):
    certificate = user_certificate(authority, keys["ed25519"])
    assert (certificate.valid_after, certificate.valid_before) == (0, FOREVER)
    for now in (0, NOW, 2.0**63):
        certificate.check_user(("alice",), now, "")
    with pytest.raises(CertificateError, match="not valid yet"):
        certificate.check_user(("alice",), -1, "")


def test_256_principals_are_taken(authority, keys):
    certificate = user_certificate(authority, keys["ed25519"], principals=[f"user{n}" for n in range(256)])
    certificate.check_user(("user255",), NOW, "")
    with pytest.raises(CertificateError, match="but for 'user0', 'user1', 'user2', 'user3', 'user4' and 251 more"):
        certificate.check_user(("user256",), NOW, "")


def test_any_of_the_accepted_principals_will_do(authority, keys):
    certificate = user_certificate(authority, keys["ed25519"], principals=("web", "mail"))
    certificate.check_user({"mail", "admin"}, NOW, "")
    for accepted in ((), ("alice",), ("WEB",), ("we",)):
        with pytest.raises(CertificateError, match="is not for this login but for 'web', 'mail'"):
            certificate.check_user(accepted, NOW, "")


def test_hosts(authority, keys):
    certificate = host_certificate(authority, keys["ed25519"], "*.Example.com", "host", "192.0.2.1", "db-?")
    for host in ("a.example.com", "A.B.EXAMPLE.COM", "host", "HOST", "192.0.2.1", "db-1"):
        certificate.check_host(host, NOW)
    for host in ("example.com", "host2", "db-12", "", "192.0.2.10", "a.example.com.evil"):
        with pytest.raises(CertificateError, match="host certificate is not for"):
            certificate.check_host(host, NOW)
    with pytest.raises(CertificateError, match="it is a host certificate, not a user certificate"):
        certificate.check_user(("host",), NOW, "")
    with pytest.raises(CertificateError, match="has expired"):
        host_certificate(authority, keys["ed25519"], "host", valid_before=int(NOW)).check_host("host", NOW)


# --- what it allows ----------------------------------------------------------------------------------------------------------------------


def test_without_extensions_nothing_is_allowed(authority, keys):
    assert user_certificate(authority, keys["ed25519"]).permissions() == RESTRICTED


@pytest.mark.parametrize(
    ("extension", "field"),
    list(zip(PERMITS, ("x11_forwarding", "agent_forwarding", "port_forwarding", "terminal", "user_rc"), strict=True)),
)
def test_each_extension_gives_one_thing(extension, field, authority, keys):
    permissions = user_certificate(authority, keys["ed25519"], extensions={extension: b""}).permissions()
    names = ("x11_forwarding", "agent_forwarding", "port_forwarding", "terminal", "user_rc")
    assert [name for name in names if getattr(permissions, name)] == [field]


def test_touch_verification_and_forced_command(authority, keys):
    plain = user_certificate(authority, keys["ed25519"]).permissions()
    assert (plain.touch_required, plain.verify_required, plain.force_command) == (True, False, None)
    certificate = user_certificate(
        authority,
        keys["ed25519"],
        extensions={"no-touch-required": b"", "unknown@example.com": "x"},
        critical_options={"verify-required": b"", "force-command": "ls ü"},
    )
    permissions = certificate.permissions()
    assert (permissions.touch_required, permissions.verify_required, permissions.force_command) == (False, True, "ls ü")


def test_critical_options_among_the_extensions_are_unknown_extensions(authority, keys):
    certificate = user_certificate(authority, keys["ed25519"], extensions={"force-command": "ls", "verify-required": b""})
    assert certificate.permissions() == RESTRICTED


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"extensions": {"permit-pty": b"x"}}, "permit-pty option is damaged: it has a value"),
        ({"extensions": {"no-touch-required": b"x"}}, "no-touch-required option is damaged"),
        ({"critical_options": {"verify-required": b"x"}}, "verify-required option is damaged"),
        ({"critical_options": {"force-command": b""}}, "force-command option is damaged: a uint32 is cut off"),
        ({"critical_options": {"force-command": b"ls"}}, "force-command option is damaged"),
        ({"critical_options": {"force-command": string("ls") + b"\0"}}, "its value is not one text"),
        ({"critical_options": {"force-command": "l\0s"}}, "its value is not one text"),
        ({"critical_options": {"permit-pty": b""}}, "demands 'permit-pty', a critical option that is not supported"),
        ({"critical_options": {"no-touch-required": b""}}, "demands 'no-touch-required'"),
        ({"critical_options": {"a\x1b[2J": b""}}, r"demands 'a\\\\x1b\[2J'"),
        ({"critical_options": {"source-address": "192.0.2.*"}}, "not an address or a network"),
        ({"critical_options": {"source-address": "!192.0.2.1"}}, "not an address or a network"),
        ({"critical_options": {"source-address": "192.0.2.1/24"}}, "bits are set behind its mask"),
        ({"critical_options": {"source-address": "192.0.2.0/255.255.255.0"}}, "not an address or a network"),
        ({"critical_options": {"source-address": "192.0.2.0/33"}}, "source-address is damaged"),
        ({"critical_options": {"source-address": "192.0.2.1,"}}, "has '' in it"),
        ({"critical_options": {"source-address": "192.0.2.1, 192.0.2.2"}}, "has ' 192.0.2.2' in it"),
        ({"critical_options": {"source-address": "fe80::1%eth0"}}, "not an address or a network"),
        ({"critical_options": {"source-address": "localhost"}}, "not an address or a network"),
    ],
)
def test_damaged_and_unknown_options_refuse(fields, reason, authority, keys):
    certificate = user_certificate(authority, keys["ed25519"], **fields)
    for ask in (certificate.permissions, lambda: certificate.check_user(("alice",), NOW, "192.0.2.1")):
        with pytest.raises(CertificateError, match=reason):
            ask()


def test_hosts_have_no_permissions(authority, keys):
    with pytest.raises(CertificateError, match="a host's certificate"):
        host_certificate(authority, keys["ed25519"], "host").permissions()


@pytest.mark.parametrize(
    ("listed", "address", "good"),
    [
        ("192.0.2.0/24", "192.0.2.77", True),
        ("192.0.2.0/24", "192.0.3.1", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("10.0.0.0/8,192.0.2.7,2001:db8::/32", "2001:db8:1::5", True),
        ("10.0.0.0/8,192.0.2.7,2001:db8::/32", "2001:db9::", False),
        ("192.0.2.0/24", "::ffff:192.0.2.5", True),
        ("0.0.0.0/0", "::1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("0.0.0.0/0,::/0", "", False),
        ("0.0.0.0/0,::/0", "not an address", False),
    ],
)
def test_b06_the_source_address_is_obeyed(listed, address, good, authority, keys):
    certificate = user_certificate(authority, keys["ed25519"], critical_options={"source-address": listed})
    if good:
        certificate.check_user(("alice",), NOW, address)
        return
    with pytest.raises(CertificateError, match=f"is good for {listed}, not for a client"):
        certificate.check_user(("alice",), NOW, address)


def test_b06_an_empty_source_address_denies_all(authority, keys):
    certificate = user_certificate(authority, keys["ed25519"], critical_options={"source-address": ""})
    for address in ("192.0.2.1", "::1", ""):
        with pytest.raises(CertificateError, match="is good for no address"):
            certificate.check_user(("alice",), NOW, address)


def test_b06_both_options_of_a_certificate_survive_a_second_factor(authority, keys):
    """What a further factor allows does not take anything away from what the certificate demands."""
    certificate = user_certificate(authority, keys["ed25519"], critical_options={"force-command": "ls", "source-address": "192.0.2.1"})
    with pytest.raises(CertificateError, match="not for a client from 192"):
        certificate.check_user(("alice",), NOW, "192.0.2.2")
    password = type(RESTRICTED)()
    for both in (certificate.permissions().narrowed_by(password), password.narrowed_by(certificate.permissions())):
        assert (both.force_command, both.terminal) == ("ls", False)
