"""Certificates with OpenSSH's ssh-keygen, both ways: what its -s signs we read and show as its -L does, and it reads what we sign."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.interop.keyring import KEY_TYPES, KINDS
from tests.keys.raw_certificates import FOREVER
from tests.keys.software_keys import SoftwareKey
from tests.support import require_program
from trio_ssh.errors import DecodeError, KeyFileError
from trio_ssh.keys import (
    Certificate,
    CertificateKind,
    CertificateRequest,
    CertifiedKey,
    PrivateKey,
    PublicKey,
    describe_certificate,
    parse_certificate_options,
    parse_validity,
    sign_certificate,
)

SECURITY_KEYS = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")
SECONDS = 30
REFUSED = r"is not|leaves no time|is before|is missing|in it"


@attrs.frozen
class Keygen:
    """ssh-keygen in a folder of its own, where the keys are: `ed25519`, `rsa` … for users, `authority_…` to sign with."""

    folder: Path

    def __call__(self, *words: str, good: bool = True) -> str:
        command = [require_program("ssh-keygen"), *words]
        environ = {"HOME": str(self.folder), "TZ": "EET-2EEST,M3.5.0/3,M10.5.0/4", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            command, cwd=self.folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
        output = done.stdout.decode("utf-8", "surrogateescape")
        assert (done.returncode == 0) is good, (command, output, done.stderr)
        return output

    def sign(self, *words: str, key: str = "user", authority: str = "authority") -> Certificate:
        """What ``ssh-keygen -s`` makes, which it also finds sound, and shows as we do."""
        (self.folder / f"{key}-cert.pub").unlink(missing_ok=True)
        self("-q", "-s", authority, *words, f"{key}.pub")
        certificate = Certificate.from_openssh_line((self.folder / f"{key}-cert.pub").read_text())
        assert self.shows(certificate) == describe_certificate(certificate)
        return certificate

    def shows(self, certificate: Certificate) -> list[str]:
        """What ``ssh-keygen -L`` prints of one; it checks the signature, too."""
        (self.folder / "shown.pub").write_text(certificate.to_openssh_line("a comment") + "\n")
        first, *lines = self("-L", "-f", "shown.pub").splitlines()
        assert first == "shown.pub:"
        return lines


@pytest.fixture(scope="module")
def lasting_keygen(tmp_path_factory: pytest.TempPathFactory) -> Keygen:
    folder = tmp_path_factory.mktemp("certificates")
    keygen = Keygen(folder)
    keygen("-q", "-t", "ed25519", "-N", "", "-C", "user", "-f", "user")
    keygen("-q", "-t", "ed25519", "-N", "", "-C", "authority", "-f", "authority")
    for key_type, (kind, bits) in KINDS.items():
        for name in (key_type, f"authority_{key_type}"):
            keygen("-q", "-t", kind, *([] if bits is None else ["-b", str(bits)]), "-N", "", "-C", name, "-f", name)
    return keygen


@pytest.fixture
def keygen(lasting_keygen: Keygen, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keygen]:
    monkeypatch.setenv("TZ", "EET-2EEST,M3.5.0/3,M10.5.0/4")
    time.tzset()
    yield lasting_keygen
    monkeypatch.undo()
    time.tzset()


# --- what ssh-keygen signs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_ssh_keygen_certifies_each_type_with_each_authority(key_type, keygen):
    for authority in KEY_TYPES:
        certificate = keygen.sign("-I", "id", "-n", "alice", key=key_type, authority=f"authority_{authority}")
        assert certificate.public_key == PrivateKey.from_file(keygen.folder / key_type).public_key
        assert certificate.authority == PrivateKey.from_file(keygen.folder / f"authority_{authority}").public_key
        certificate.check_user(("alice",), time.time(), "")
    certified = CertifiedKey.from_files(keygen.folder / key_type)
    for algorithm in certified.signature_algorithms:
        assert certified.certificate.verify(algorithm, certified.sign(algorithm, b"data"), b"data")


@pytest.mark.parametrize("key_type", SECURITY_KEYS)
def test_ssh_keygen_certifies_security_keys(key_type, keygen):
    security_key = SoftwareKey.generate(key_type)
    (keygen.folder / "security.pub").write_text(security_key.public_key.to_openssh_line() + "\n")
    certificate = keygen.sign("-I", "id", "-n", "alice", "-O", "no-touch-required", "-O", "verify-required", key="security")
    assert certificate.public_key == security_key.public_key
    assert certificate.permissions().touch_required is False
    assert certificate.permissions().verify_required is True


@pytest.mark.parametrize("algorithm", ["rsa-sha2-256", "rsa-sha2-512"])
def test_ssh_keygen_signs_with_rsa_by_each_hash(algorithm, keygen):
    certificate = keygen.sign("-I", "id", "-t", algorithm, authority="authority_ssh-rsa")
    assert certificate.authority_algorithm == algorithm


def test_b13_b14_what_ssh_keygen_signs_with_sha1_is_refused(keygen):
    keygen("-q", "-s", "authority_ssh-rsa", "-t", "ssh-rsa", "-I", "id", "user.pub")
    with pytest.raises(KeyFileError, match="is signed by 'ssh-rsa', which a key of type ssh-rsa may not do"):
        Certificate.from_openssh_line((keygen.folder / "user-cert.pub").read_text())


def test_identity_principals_and_serial(keygen):
    certificate = keygen.sign("-I", 'of "älice"', "-n", "alice,bob,web server", "-z", str(FOREVER))
    assert (certificate.key_id, certificate.serial) == ('of "älice"', FOREVER)
    assert certificate.principals == ("alice", "bob", "web server")
    assert certificate.kind is CertificateKind.USER
    assert keygen.sign("-I", "id").principals == ()


@pytest.mark.parametrize(
    "text",
    [
        "20300101:20310101",
        "20300115Z:203101012359Z",
        "203001010203:20310101000001",
        "always:forever",
        "always:20310101",
        "20300101:forever",
        "0x10:0x7fFfffff",
        "0x0:0xffffffffffffffff",
    ],
)
def test_fixed_times_are_read_as_ssh_keygen_reads_them(text, keygen):
    certificate = keygen.sign("-I", "id", "-V", text)
    assert (certificate.valid_after, certificate.valid_before) == parse_validity(text, 0)


@pytest.mark.parametrize("text", ["+52w", "+1", "+1h30m", "-1d:+1w", "-1W2D3h4m5:+90", "+1d:+2d", "always:+1d", "-1m:forever"])
def test_times_from_now_are_read_as_ssh_keygen_reads_them(text, keygen):
    before = int(time.time())
    certificate = keygen.sign("-I", "id", "-V", text)
    allowed = [parse_validity(text, now) for now in range(before, int(time.time()) + 1)]
    assert (certificate.valid_after, certificate.valid_before) in allowed


@pytest.mark.parametrize(
    "text", ["20300101", "+", ":+1", "+1:", "+1y", "+1w:+1d", "20301301:forever", "0x:0x5", "0XA:0xb", "-2000000000:+1"]
)
def test_neither_takes_these_times(text, keygen):
    keygen("-q", "-s", "authority", "-I", "id", "-V", text, "user.pub", good=False)
    with pytest.raises(ValueError, match=REFUSED):
        parse_validity(text, time.time())


GOOD_OPTIONS = [
    [],
    ["clear"],
    ["no-agent-forwarding"],
    ["no-port-forwarding"],
    ["no-pty"],
    ["no-user-rc"],
    ["no-x11-forwarding"],
    ["no-X11-forwarding", "permit-x11-forwarding"],
    *(["clear", f"permit-{what}-forwarding"] for what in ("agent", "port", "x11", "X11")),
    ["clear", "permit-pty"],
    ["clear", "permit-user-rc"],
    ["no-touch-required"],
    ["verify-required"],
    ["no-touch-required", "verify-required", "clear"],
    ["force-command=ls -l = ä"],
    ["FORCE-command=ls"],
    ["source-address=192.0.2.0/24"],
    ["source-address=192.0.2.7,2001:db8::/32,::1"],
    ["extension:flag@example.com"],
    ["extension:value@example.com=a=b"],
    ["extension:empty@example.com="],
    ["critical:flag@example.com"],
    ["critical:a@example.com=x", "force-command=ls", "verify-required", "source-address=::1"],
    ["clear", "extension:permit-pty", "extension:zzz@example.com", "extension:AAA@example.com"],
    ["critical:force-command=ls"],
]


@pytest.mark.parametrize("words", GOOD_OPTIONS, ids=",".join)
def test_options_are_read_as_ssh_keygen_reads_them(words, keygen):
    """And, signed by us with these, they are shown by ssh-keygen just as its own."""
    certificate = keygen.sign("-I", "id", *(part for word in words for part in ("-O", word)))
    critical, extensions = parse_certificate_options(words)
    assert certificate.critical_options == tuple(sorted(critical))
    assert certificate.extensions == tuple(sorted(extensions))
    ours = sign_ours(keygen, key_id="id", critical_options=critical, extensions=extensions)
    assert keygen.shows(ours) == describe_certificate(ours)
    assert describe_certificate(ours)[3:] == describe_certificate(certificate)[3:]


@pytest.mark.parametrize(
    "word",
    ["force-command=", "source-address=", "source-address=192.0.2.*", "source-address=192.0.2.1/24", "permit-all", "no-way", "!clear"],
)
def test_neither_takes_these_options(word, keygen):
    keygen("-q", "-s", "authority", "-I", "id", "-O", word, "user.pub", good=False)
    with pytest.raises(ValueError, match=REFUSED):
        parse_certificate_options([word])


def test_a_host_certificate(keygen):
    certificate = keygen.sign("-h", "-I", "id", "-n", "host.example,*.example.com", "-V", "-1d:+1d")
    assert (certificate.kind, certificate.critical_options, certificate.extensions) == (CertificateKind.HOST, (), ())
    certificate.check_host("www.example.com", time.time())
    certificate.check_host("host.example", time.time())


# --- what we sign ------------------------------------------------------------------------------------------------------------------------


def sign_ours(keygen: Keygen, key: str = "user", authority: str = "authority", algorithm: str | None = None, **fields) -> Certificate:
    public_key = PublicKey.from_openssh_line((keygen.folder / f"{key}.pub").read_text())
    return sign_certificate(
        PrivateKey.from_file(keygen.folder / authority), CertificateRequest(public_key=public_key, **fields), algorithm
    )


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_ssh_keygen_reads_each_type_with_each_authority(key_type, keygen):
    for authority in KEY_TYPES:
        certificate = sign_ours(keygen, key_type, f"authority_{authority}", key_id="ä", principals=("alice", "bob"), serial=FOREVER)
        assert keygen.shows(certificate) == describe_certificate(certificate)


@pytest.mark.parametrize("algorithm", ["rsa-sha2-256", "rsa-sha2-512"])
def test_ssh_keygen_reads_what_rsa_signs_by_each_hash(algorithm, keygen):
    certificate = sign_ours(keygen, authority="authority_ssh-rsa", algorithm=algorithm)
    assert f"(using {algorithm})" in keygen.shows(certificate)[2]


@pytest.mark.parametrize("key_type", SECURITY_KEYS)
def test_ssh_keygen_reads_what_security_keys_sign(key_type, keygen):
    security_key = SoftwareKey.generate(key_type)
    certificate = sign_certificate(security_key, CertificateRequest(public_key=security_key.public_key, principals=("alice",)))
    assert keygen.shows(certificate) == describe_certificate(certificate)


@pytest.mark.parametrize(("after", "before"), [(0, FOREVER), (1_893_456_000, FOREVER), (0, 1_909_094_400), (1_893_456_000, 1_909_094_400)])
def test_ssh_keygen_reads_our_times(after, before, keygen):
    certificate = sign_ours(keygen, kind=CertificateKind.HOST, valid_after=after, valid_before=before, principals=("*.example.com",))
    assert keygen.shows(certificate) == describe_certificate(certificate)


def test_ssh_keygen_refuses_a_damaged_one_as_we_do(keygen):
    blob = bytearray(sign_ours(keygen, principals=("alice",)).blob)
    blob[-1] ^= 1
    with pytest.raises(DecodeError, match="signature of the certificate's authority is wrong"):
        Certificate.from_blob(bytes(blob))
    damaged = attrs.evolve(sign_ours(keygen), blob=bytes(blob))
    (keygen.folder / "damaged.pub").write_text(damaged.to_openssh_line())
    keygen("-L", "-f", "damaged.pub", good=False)
