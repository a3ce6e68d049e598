"""Key files between us, Debian's ssh-keygen and openssl: every type, format and passphrase, written by one and read by the other.

Whoever reads a private key proves it by its public half, which the reader works out, and by a signature that the writer's side verifies.
OpenSSH has no Ed448, and no hardware is here: Ed448 goes to openssl, and of security keys the file with the handle goes around.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.keys.software_keys import SoftwareKey
from tests.support import require_program
from trio_ssh import CommentedPublicKey, PassphraseRequired, PrivateKey, PrivateKeyFormat, PublicKey, PublicKeyFormat, WrongPassphrase
from trio_ssh.errors import KeyFileError
from trio_ssh.keys import change_comment, change_passphrase
from trio_ssh.keys.security_keys import SECURITY_KEY_TYPES
from trio_ssh.wire.primitives import read_name, read_string, write_string

OPENSSH, PEM, PKCS8 = PrivateKeyFormat
KEYGEN = {"ed25519": ("ed25519", "256"), "ecdsa-256": ("ecdsa", "256"), "ecdsa-384": ("ecdsa", "384"), "ecdsa-521": ("ecdsa", "521"),
          "rsa-2048": ("rsa", "2048"), "rsa-3072": ("rsa", "3072")}  # fmt: skip
KINDS: dict[str, tuple[str, int | None]] = {name: (kind, int(bits)) for name, (kind, bits) in KEYGEN.items()}
OPENSSL = {
    "ed25519": ("-algorithm", "ed25519"),
    "ed448": ("-algorithm", "ed448"),
    "ecdsa-256": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "ecdsa-384": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "ecdsa-521": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"),
    "rsa-2048": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
}
PASSPHRASES = ["", "pass word", "pässwörd"]
PEM_CIPHERS = ["-aes128", "-aes256", "-des3"]
PKCS8_SCHEMES = [("-v2", "aes-256-cbc"), ("-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"), ("-v2", "des3"), ("-scrypt",)]
DATA = b"what is signed"

Run = Callable[..., str]


@pytest.fixture(scope="module")
def made() -> dict[str, PrivateKey]:
    kinds = KINDS | {"ed448": ("ed448", None)}
    return {name: PrivateKey.generate(*kind, f"{name} of ours") for name, kind in kinds.items()}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``run("openssl", …)`` in the test's folder: what it says; a failure fails the test."""

    def run_program(program: str, *arguments: str | Path) -> str:
        command = [require_program(program), *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    return run_program


def check_pair(private: PrivateKey, public_line: str) -> None:
    """The private key is the one of that public line: it says so, and its signatures hold."""
    public = CommentedPublicKey.from_bytes(public_line.encode()).key
    assert private.public_key == public
    for algorithm in public.signature_algorithms:
        assert public.verify(algorithm, private.sign(algorithm, DATA), DATA)


def check_locked(path: Path) -> None:
    with pytest.raises(PassphraseRequired):
        PrivateKey.from_file(path)
    with pytest.raises(WrongPassphrase):
        PrivateKey.from_file(path, "another")


# ssh-keygen


# this ssh-keygen takes -m for an Ed25519 key and writes its own format nevertheless, nor does it read PKCS#8 of one
ITS_FORMS = [(name, form) for name in KEYGEN for form in PrivateKeyFormat if name != "ed25519" or form is OPENSSH]


@pytest.mark.parametrize("passphrase", PASSPHRASES)
@pytest.mark.parametrize(("name", "form"), ITS_FORMS)
def test_ssh_keygen_writes_we_read(run: Run, tmp_path: Path, name: str, form: PrivateKeyFormat, passphrase: str) -> None:
    kind, bits = KEYGEN[name]
    written = () if form is OPENSSH else ("-m", form.value)
    run("ssh-keygen", "-q", "-t", kind, "-b", bits, *written, "-a", "2", "-N", passphrase, "-C", "a comment", "-f", "key")
    private = PrivateKey.from_file(tmp_path / "key", passphrase or None)
    check_pair(private, (tmp_path / "key.pub").read_text())
    assert private.comment == ("a comment" if form is OPENSSH else "")
    if passphrase:
        check_locked(tmp_path / "key")


@pytest.mark.parametrize("passphrase", PASSPHRASES)
@pytest.mark.parametrize(("name", "form"), ITS_FORMS)
def test_we_write_ssh_keygen_reads(
    run: Run, tmp_path: Path, made: dict[str, PrivateKey], name: str, form: PrivateKeyFormat, passphrase: str
) -> None:
    private = made[name]
    private.write_file(tmp_path / "key", passphrase or None, form=form, rounds=2)
    line = run("ssh-keygen", "-y", "-P", passphrase, "-f", "key")
    assert line.strip() == private.public_key.to_openssh_line(private.comment if form is OPENSSH else "")
    # It takes the private half for its own as well: a signature of its making, and the file written anew.
    (tmp_path / "data").write_bytes(DATA)
    run("ssh-keygen", "-q", "-p", "-P", passphrase, "-N", "", "-f", "key")
    run("ssh-keygen", "-Y", "sign", "-q", "-n", "file", "-f", "key", "data")
    again = PrivateKey.from_file(tmp_path / "key")
    check_pair(again, line)
    check_sshsig(private.public_key, (tmp_path / "data.sig").read_bytes())


def check_sshsig(public: PublicKey, text: bytes) -> None:
    """Their signature (PROTOCOL.sshsig), by our verification."""
    blob = base64.b64decode(b"".join(text.splitlines()[1:-1]))
    assert blob.startswith(b"SSHSIG\0\0\0\1")
    key_blob, offset = read_string(blob, 10)
    assert key_blob == public.blob
    namespace, offset = read_string(blob, offset)
    reserved, offset = read_string(blob, offset)
    hash_name, offset = read_string(blob, offset)
    signature, _ = read_string(blob, offset)
    covered = bytearray(b"SSHSIG")
    for field in (namespace, reserved, hash_name, hashlib.new(hash_name.decode(), DATA).digest()):
        write_string(covered, field)
    algorithm, _ = read_name(signature, 0)
    assert public.verify(algorithm, signature, bytes(covered))
    assert not public.verify(algorithm, signature, bytes(covered) + b"!")


@pytest.mark.parametrize("cipher", ["aes128-ctr", "aes192-ctr", "aes256-ctr", "aes128-cbc", "aes192-cbc", "aes256-cbc",
                                    "aes128-gcm@openssh.com", "aes256-gcm@openssh.com"])  # fmt: skip
def test_ssh_keygen_ciphers(run: Run, tmp_path: Path, cipher: str) -> None:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "pw", "-Z", cipher, "-a", "2", "-f", "key")
    check_pair(PrivateKey.from_file(tmp_path / "key", "pw"), (tmp_path / "key.pub").read_text())
    check_locked(tmp_path / "key")


def test_ssh_keygen_passphrase_and_comment_in_turns(run: Run, tmp_path: Path, made: dict[str, PrivateKey]) -> None:
    """Each changes what the other wrote last."""
    path = tmp_path / "key"
    made["ecdsa-256"].write_file(path)
    for number in range(3):
        old, ours, theirs = f"theirs {number - 1}" if number else None, f"ours {number}", f"theirs {number}"
        change_passphrase(path, old, ours, rounds=2)
        run("ssh-keygen", "-q", "-p", "-P", ours, "-N", theirs, "-a", "2", "-f", "key")
        run("ssh-keygen", "-q", "-c", "-P", theirs, "-C", f"their comment {number}", "-f", "key")
        assert PrivateKey.from_file(path, theirs).comment == f"their comment {number}"
        change_comment(path, f"our comment {number}", theirs, rounds=2)
        assert f"our comment {number}" in run("ssh-keygen", "-l", "-f", "key")
        assert f"our comment {number}" in run("ssh-keygen", "-y", "-P", theirs, "-f", "key")
    assert PrivateKey.from_file(path, "theirs 2") == made["ecdsa-256"]


@pytest.mark.parametrize("passphrase", PASSPHRASES)
@pytest.mark.parametrize("key_type", SECURITY_KEY_TYPES)
def test_ssh_keygen_security_key_files(run: Run, tmp_path: Path, key_type: str, passphrase: str) -> None:
    handle = SoftwareKey.generate(key_type, file_flags=0x25).private_key()
    handle.write_file(tmp_path / "key", passphrase or None, rounds=2)
    assert run("ssh-keygen", "-y", "-P", passphrase, "-f", "key").strip() == handle.public_key.to_openssh_line(handle.comment)
    run("ssh-keygen", "-q", "-p", "-P", passphrase, "-N", "theirs", "-a", "2", "-f", "key")
    again = PrivateKey.from_file(tmp_path / "key", "theirs")
    assert (again, again.comment, again.security_key) == (handle, handle.comment, handle.security_key)


# Public keys


@pytest.mark.parametrize("name", [*KEYGEN, *SECURITY_KEY_TYPES])
def test_public_formats_both_ways(run: Run, tmp_path: Path, made: dict[str, PrivateKey], name: str) -> None:
    """OpenSSH's line into RFC 4716 and PEM by each, and back by the other."""
    public = made[name].public_key if name in made else SoftwareKey.generate(name).public_key
    file = CommentedPublicKey(public, "a comment")
    file.write_file(tmp_path / "key.pub")
    forms = [PublicKeyFormat.RFC4716]
    if name.startswith(("rsa", "ecdsa-")):
        forms += [PublicKeyFormat.PKCS8, PublicKeyFormat.PEM]
    for form in forms:
        theirs = run("ssh-keygen", "-e", "-m", form.value, "-f", "key.pub")
        assert CommentedPublicKey.from_bytes(theirs.encode()).key == public
        if form is not PublicKeyFormat.RFC4716:
            assert theirs.encode() == file.to_bytes(form)
        file.write_file(tmp_path / "exported", form)
        # -i reads PEM of an ECDSA key as PKCS8 only: it has no other
        read_as = "PKCS8" if form is PublicKeyFormat.PEM and name.startswith("ecdsa") else form.value
        assert run("ssh-keygen", "-i", "-m", read_as, "-f", "exported").strip() == public.to_openssh_line()


@pytest.mark.parametrize("comment", ["", "short", "c" * 300, "ü" * 100, 'a "quoted" word', "slash\\"])
def test_rfc_4716_comments_of_any_kind_are_skipped_by_ssh_keygen(run: Run, tmp_path: Path, comment: str) -> None:
    file = CommentedPublicKey(PrivateKey.generate().public_key, comment, (("Subject", "ada"), ("X-Long", "z" * 200)))
    file.write_file(tmp_path / "exported", PublicKeyFormat.RFC4716)
    assert run("ssh-keygen", "-i", "-f", "exported").strip() == file.key.to_openssh_line()


@pytest.mark.parametrize("name", OPENSSL)
def test_openssl_public_both_ways(run: Run, tmp_path: Path, made: dict[str, PrivateKey], name: str) -> None:
    file = CommentedPublicKey(made[name].public_key)
    file.write_file(tmp_path / "pub.pem", PublicKeyFormat.PKCS8)
    theirs = run("openssl", "pkey", "-pubin", "-in", "pub.pem", "-pubout")
    assert CommentedPublicKey.from_bytes(theirs.encode()) == file
    if name.startswith("rsa"):
        file.write_file(tmp_path / "pkcs1.pem", PublicKeyFormat.PEM)
        theirs = run("openssl", "rsa", "-RSAPublicKey_in", "-in", "pkcs1.pem", "-RSAPublicKey_out")
        assert CommentedPublicKey.from_bytes(theirs.encode()) == file


# openssl


@pytest.mark.parametrize("passphrase", PASSPHRASES)
@pytest.mark.parametrize("name", OPENSSL)
def test_openssl_pkcs8_both_ways(run: Run, tmp_path: Path, made: dict[str, PrivateKey], name: str, passphrase: str) -> None:
    encrypted = ("-aes256", "-pass", f"pass:{passphrase}") if passphrase else ()
    run("openssl", "genpkey", *OPENSSL[name], *encrypted, "-out", "theirs")
    (tmp_path / "theirs").chmod(0o600)
    private = PrivateKey.from_file(tmp_path / "theirs", passphrase or None)
    check_pair(private, run("openssl", "pkey", "-in", "theirs", "-passin", f"pass:{passphrase}", "-pubout"))
    if passphrase:
        check_locked(tmp_path / "theirs")
    ours = made[name]
    ours.write_file(tmp_path / "ours", passphrase or None, form=PKCS8)
    check_pair(ours, run("openssl", "pkey", "-in", "ours", "-passin", f"pass:{passphrase}", "-pubout"))
    check_signature_by_openssl(run, tmp_path, ours, name, passphrase)


def check_signature_by_openssl(run: Run, tmp_path: Path, ours: PrivateKey, name: str, passphrase: str) -> None:
    """openssl signs with our file; its own reading of our public key verifies it."""
    (tmp_path / "data").write_bytes(DATA)
    raw = ("-rawin",) if name.startswith("ed") else ("-rawin", "-digest", "sha256")
    run("openssl", "pkeyutl", "-sign", *raw, "-inkey", "ours", "-passin", f"pass:{passphrase}", "-in", "data", "-out", "signature")
    CommentedPublicKey(ours.public_key).write_file(tmp_path / "public", PublicKeyFormat.PKCS8)
    verified = run("openssl", "pkeyutl", "-verify", *raw, "-pubin", "-inkey", "public", "-in", "data", "-sigfile", "signature")
    assert "Signature Verified Successfully" in verified


@pytest.mark.parametrize("passphrase", PASSPHRASES)
@pytest.mark.parametrize("name", [name for name in OPENSSL if not name.startswith("ed")])
def test_openssl_traditional_both_ways(run: Run, tmp_path: Path, made: dict[str, PrivateKey], name: str, passphrase: str) -> None:
    tool = "rsa" if name.startswith("rsa") else "ec"
    ours = made[name]
    ours.write_file(tmp_path / "ours", passphrase or None, form=PEM)
    check_pair(ours, run("openssl", tool, "-in", "ours", "-passin", f"pass:{passphrase}", "-pubout"))
    for cipher in PEM_CIPHERS if passphrase else [""]:
        encrypted = (cipher, "-passout", f"pass:{passphrase}") if cipher else ()
        traditional = ("-traditional",) if tool == "rsa" else ()
        run("openssl", tool, "-in", "ours", "-passin", f"pass:{passphrase}", *traditional, *encrypted, "-out", "theirs")
        (tmp_path / "theirs").chmod(0o600)
        assert PrivateKey.from_file(tmp_path / "theirs", passphrase or None) == ours
        if passphrase:
            check_locked(tmp_path / "theirs")


@pytest.mark.parametrize("cipher", ["-aes192", "-camellia256"])
def test_openssl_ciphers_that_are_not_read_are_named(run: Run, tmp_path: Path, made: dict[str, PrivateKey], cipher: str) -> None:
    """And the command that the message gives works."""
    made["rsa-2048"].write_file(tmp_path / "ours", form=PEM)
    run("openssl", "rsa", "-in", "ours", "-traditional", cipher, "-passout", "pass:pw", "-out", "theirs")
    (tmp_path / "theirs").chmod(0o600)
    name = {"-aes192": "AES-192-CBC", "-camellia256": "CAMELLIA-256-CBC"}[cipher]
    command = f"openssl pkey -in {tmp_path}/theirs -out NEW -aes256"
    with pytest.raises(KeyFileError, match=f"it is encrypted by {name}, which is not supported; re-encrypt it with: {command}"):
        PrivateKey.from_file(tmp_path / "theirs", "pw")
    run(*command.split(), "-passin", "pass:pw", "-passout", "pass:pw")
    (tmp_path / "NEW").chmod(0o600)
    assert PrivateKey.from_file(tmp_path / "NEW", "pw") == made["rsa-2048"]


@pytest.mark.parametrize("scheme", PKCS8_SCHEMES, ids=" ".join)
def test_openssl_encryption_schemes_of_pkcs8(run: Run, tmp_path: Path, made: dict[str, PrivateKey], scheme: tuple[str, ...]) -> None:
    for name in ("rsa-2048", "ecdsa-256", "ed448"):
        made[name].write_file(tmp_path / "ours", form=PKCS8)
        run("openssl", "pkcs8", "-topk8", "-in", "ours", *scheme, "-passout", "pass:pw", "-out", "theirs")
        (tmp_path / "theirs").chmod(0o600)
        assert PrivateKey.from_file(tmp_path / "theirs", "pw") == made[name]
        check_locked(tmp_path / "theirs")


# Every format from every other


@pytest.mark.parametrize("passphrase", PASSPHRASES)
@pytest.mark.parametrize("name", ["ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048"])
def test_a_key_goes_round_through_every_format_and_tool(
    run: Run, tmp_path: Path, made: dict[str, PrivateKey], name: str, passphrase: str
) -> None:
    """ssh-keygen converts what we wrote, we convert what it wrote; after all of it the key is the same."""
    path = tmp_path / "key"
    made[name].write_file(path, passphrase or None, rounds=2)
    for ours in PrivateKeyFormat:
        for theirs in ("RFC4716", "PEM", "PKCS8"):  # -m RFC4716 is its own format
            change_passphrase(path, passphrase or None, passphrase or None, form=ours, rounds=2)
            run("ssh-keygen", "-q", "-p", "-P", passphrase, "-N", passphrase, "-m", theirs, "-a", "2", "-f", "key")
            assert PrivateKey.from_file(path, passphrase or None) == made[name]
