"""Private keys in files: written and read by us, ssh-keygen, openssl and other libraries, in every format, both ways."""

from __future__ import annotations

import os

import asyncssh
import paramiko
import pytest

from trio_ssh.errors import KeyFileError
from trio_ssh.keys import PassphraseRequired, PrivateKey, PrivateKeyFormat, WrongPassphrase

KEYGEN_TYPES = [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")]


@pytest.mark.parametrize("passphrase", [None, "päss wörd", b"\xff\x00bytes"])
def test_our_own_round_trip(any_key, passphrase):
    key = any_key
    text = key.to_openssh(passphrase, rounds=1)
    again = PrivateKey.from_bytes(text, passphrase)
    assert again == key
    assert again.comment == key.comment
    algorithm = again.public_key.signature_algorithms[0]
    assert key.public_key.verify(algorithm, again.sign(algorithm, b"x"), b"x")
    assert all(len(line) <= 70 for line in text.splitlines())


def test_comment_can_be_replaced(keys):
    key = keys["ed25519"]
    assert PrivateKey.from_bytes(key.to_openssh(comment="")).comment == ""
    assert PrivateKey.from_bytes(key.to_openssh(comment="neu ü")).comment == "neu ü"


@pytest.mark.parametrize("length", range(16))
def test_every_length_of_padding(keys, length):
    for passphrase in (None, "pw"):
        text = keys["ed25519"].to_openssh(passphrase, "c" * length, rounds=1)
        assert PrivateKey.from_bytes(text, passphrase).comment == "c" * length


def test_another_comment(keys):
    key = keys["ed25519"].with_comment("another")
    assert (key, key.comment, keys["ed25519"].comment) == (keys["ed25519"], "another", "ed25519 of a test")
    assert PrivateKey.from_bytes(key.export()).comment == "another"


def test_passphrase_that_is_not_needed_is_ignored(keys):
    for text in (keys["rsa"].to_openssh(), keys["rsa"].export(PrivateKeyFormat.PKCS8)):
        assert PrivateKey.from_bytes(text, "not needed") == keys["rsa"]


@pytest.mark.parametrize("passphrase", ["", b""])
def test_an_empty_passphrase_cannot_be_set_by_accident(keys, passphrase):
    with pytest.raises(ValueError, match="the passphrase is empty"):
        keys["ed25519"].to_openssh(passphrase)
    with pytest.raises(ValueError, match="rounds must be 1 to 2048"):
        keys["ed25519"].to_openssh("pw", rounds=2049)


@pytest.mark.parametrize("passphrase", ["", "pass word"])
@pytest.mark.parametrize(("kind", "bits"), KEYGEN_TYPES)
def test_ssh_keygen_writes_we_read(run, tmp_path, kind, bits, passphrase):
    run("ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", passphrase, "-a", 1, "-C", "a comment", "-f", tmp_path / "key")
    key = PrivateKey.from_file(tmp_path / "key", passphrase or None)
    assert (tmp_path / "key.pub").read_text() == key.public_key.to_openssh_line("a comment") + "\n"
    assert key.comment == "a comment"


@pytest.mark.parametrize("cipher", ["aes128-ctr", "aes192-cbc", "aes256-cbc", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com"])
def test_ssh_keygen_ciphers(run, tmp_path, cipher):
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "pass", "-a", 1, "-Z", cipher, "-f", tmp_path / "key")
    key = PrivateKey.from_file(tmp_path / "key", "pass")
    assert key.public_key.to_openssh_line() in (tmp_path / "key.pub").read_text()
    with pytest.raises(WrongPassphrase):
        PrivateKey.from_file(tmp_path / "key", "Pass")
    with pytest.raises(PassphraseRequired):
        PrivateKey.from_file(tmp_path / "key")


@pytest.mark.parametrize("passphrase", [None, "pass word"])
def test_we_write_ssh_keygen_reads(run, tmp_path, key, passphrase):
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_bytes(key.to_openssh(passphrase, rounds=1))
    shown = run("ssh-keygen", "-y", "-P", passphrase or "", "-f", tmp_path / "key")
    assert shown.rstrip("\n") == key.public_key.to_openssh_line(key.comment)
    # and takes it as its own: changing the passphrase reads the private part and writes it anew
    run("ssh-keygen", "-q", "-p", "-P", passphrase or "", "-N", "other", "-a", 1, "-f", tmp_path / "key")
    again = PrivateKey.from_file(tmp_path / "key", "other")
    assert (again, again.comment) == (key, key.comment)


@pytest.mark.parametrize("passphrase", ["", "pass word"])
@pytest.mark.parametrize("form", ["PEM", "PKCS8"])
@pytest.mark.parametrize(("kind", "bits"), KEYGEN_TYPES[1:])
def test_ssh_keygen_pem_forms(run, tmp_path, kind, bits, form, passphrase):
    run("ssh-keygen", "-q", "-t", kind, "-b", bits, "-m", form, "-N", passphrase, "-f", tmp_path / "key")
    key = PrivateKey.from_file(tmp_path / "key", passphrase or None)
    assert key.public_key.to_openssh_line() in (tmp_path / "key.pub").read_text()
    if passphrase:
        with pytest.raises(WrongPassphrase):
            PrivateKey.from_file(tmp_path / "key", "Pass")
        with pytest.raises(PassphraseRequired):
            PrivateKey.from_file(tmp_path / "key")


@pytest.mark.parametrize("passphrase", [None, "pass"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("genpkey", "-algorithm", "ed25519"),
        ("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
        ("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    ],
    ids=["ed25519", "P-384", "RSA"],
)
def test_openssl_writes_we_read_and_back(run, tmp_path, arguments, passphrase):
    encryption = ("-aes256", "-pass", f"pass:{passphrase}") if passphrase else ()
    run("openssl", *arguments, *encryption, "-out", tmp_path / "key")
    os.chmod(tmp_path / "key", 0o600)
    key = PrivateKey.from_file(tmp_path / "key", passphrase)
    algorithm = key.public_key.signature_algorithms[0]
    assert key.public_key.verify(algorithm, key.sign(algorithm, b"x"), b"x")
    if key.public_key.algorithm == "ssh-ed25519":
        return  # ssh-keygen 9.2 writes ed25519 in its own format only
    (tmp_path / "again").write_bytes(key.to_openssh())
    os.chmod(tmp_path / "again", 0o600)
    run("ssh-keygen", "-q", "-p", "-N", "", "-m", "PKCS8", "-f", tmp_path / "again")
    ours = run("openssl", "pkey", "-in", tmp_path / "again", "-pubout")
    password = ("-passin", f"pass:{passphrase}") if passphrase else ()
    assert ours == run("openssl", "pkey", "-in", tmp_path / "key", "-pubout", *password)


def test_openssl_ec_with_a_parameters_block_before_it(run, tmp_path):
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", tmp_path / "key")
    os.chmod(tmp_path / "key", 0o600)
    assert b"BEGIN EC PARAMETERS" in (tmp_path / "key").read_bytes()
    assert PrivateKey.from_file(tmp_path / "key").public_key.algorithm == "ecdsa-sha2-nistp256"


def test_openssl_scrypt(run, tmp_path, keys):
    (tmp_path / "in").write_bytes(keys["nistp256"].export(PrivateKeyFormat.PKCS8))
    run("openssl", "pkcs8", "-topk8", "-in", "in", "-scrypt", "-passout", "pass:pw", "-out", "out")
    assert PrivateKey.from_bytes((tmp_path / "out").read_bytes(), "pw") == keys["nistp256"]


@pytest.mark.parametrize("form", PrivateKeyFormat)
@pytest.mark.parametrize("passphrase", [None, b"pw", "päss wörd", b"\xff\0x"])
def test_every_format_of_every_type(any_key, form, passphrase):
    if form is PrivateKeyFormat.PEM and any_key.public_key.algorithm in ("ssh-ed25519", "ssh-ed448"):
        with pytest.raises(KeyFileError, match="has no PKCS#1 or SEC1 form; write it in OpenSSH's format or as PKCS#8"):
            any_key.export(form, passphrase)
        return
    text = any_key.export(form, passphrase, rounds=1)
    for read in (text, text.replace(b"\n", b"\r\n")):
        assert PrivateKey.from_bytes(read, passphrase) == any_key
    if passphrase:
        with pytest.raises(WrongPassphrase):
            PrivateKey.from_bytes(text, "another")
        with pytest.raises(PassphraseRequired):
            PrivateKey.from_bytes(text)


def test_what_each_format_looks_like(keys):
    def head(name: str, form: PrivateKeyFormat, passphrase: str | None = None) -> bytes:
        return keys[name].export(form, passphrase, rounds=1).split(b"\n")[0]

    assert head("rsa", PrivateKeyFormat.PEM) == b"-----BEGIN RSA PRIVATE KEY-----"
    assert head("nistp384", PrivateKeyFormat.PEM) == b"-----BEGIN EC PRIVATE KEY-----"
    assert head("rsa", PrivateKeyFormat.PKCS8) == head("ed448", PrivateKeyFormat.PKCS8) == b"-----BEGIN PRIVATE KEY-----"
    assert head("rsa", PrivateKeyFormat.PKCS8, "pw") == b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
    assert head("rsa", PrivateKeyFormat.OPENSSH, "pw") == head("ed25519", PrivateKeyFormat.OPENSSH)
    assert b"\nProc-Type: 4,ENCRYPTED\n" in keys["rsa"].export(PrivateKeyFormat.PEM, "pw")


def test_what_only_openssh_can_write(software_keys):
    for key in (software.private_key() for software in software_keys.values()):
        assert PrivateKey.from_bytes(key.export(passphrase="pw", rounds=1), "pw") == key
        for form in (PrivateKeyFormat.PEM, PrivateKeyFormat.PKCS8):
            with pytest.raises(KeyFileError, match="can be written in OpenSSH's format only"):
                key.export(form)


@pytest.mark.parametrize("form", PrivateKeyFormat)
def test_passphrases_that_cannot_be_set(keys, form):
    for empty in ("", b""):
        with pytest.raises(ValueError, match="the passphrase is empty; give None for a file that is not encrypted"):
            keys["rsa"].export(form, empty)
    if form is not PrivateKeyFormat.OPENSSH:
        with pytest.raises(ValueError, match="the passphrase has 1024 bytes; a PEM file takes up to 1023"):
            keys["rsa"].export(form, "x" * 1024)


def test_openssh_text_survives_crlf_bom_and_lines_of_any_length(keys):
    key = keys["ed25519"]
    text = key.to_openssh()
    head, *body, tail = text.decode().split("\n")[:-1]
    for form in (text.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + text, f"\n{head}\n{''.join(body)}\n{tail}".encode(), text + b"\n \n"):
        assert PrivateKey.from_bytes(form) == key


@pytest.mark.parametrize("passphrase", [None, "pw"])
def test_other_libraries_read_what_we_write(key, tmp_path, passphrase):
    text = key.to_openssh(passphrase, rounds=1)
    assert asyncssh.import_private_key(text, passphrase).public_data == key.public_key.blob
    (tmp_path / "key").write_bytes(text)
    assert paramiko.PKey.from_path(tmp_path / "key", passphrase.encode() if passphrase else None).asbytes() == key.public_key.blob


@pytest.mark.parametrize("passphrase", [None, "pw"])
def test_asyncssh_reads_every_format(any_key, passphrase):
    for form in PrivateKeyFormat:
        if form is not PrivateKeyFormat.PEM or any_key.public_key.algorithm not in ("ssh-ed25519", "ssh-ed448"):
            text = any_key.export(form, passphrase, rounds=1)
            assert asyncssh.import_private_key(text, passphrase).public_data == any_key.public_key.blob


@pytest.mark.parametrize("form", ["openssh", "pkcs8-pem", "pkcs1-pem"])
@pytest.mark.parametrize("passphrase", [None, "pw"])
def test_we_read_what_asyncssh_writes(any_key, form, passphrase):
    key = any_key
    if form == "pkcs1-pem" and key.public_key.algorithm in ("ssh-ed25519", "ssh-ed448"):
        return
    theirs = asyncssh.import_private_key(key.to_openssh())
    text = theirs.export_private_key(form, passphrase, rounds=1 if form == "openssh" else 128, ignore_few_rounds=True)
    assert PrivateKey.from_bytes(text, passphrase) == key
