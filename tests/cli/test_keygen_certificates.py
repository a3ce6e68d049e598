"""trio-ssh-keygen signs certificates and shows them."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.tool_runs import Run, run_here
from trio_ssh import PrivateKey
from trio_ssh.keys.certificates import FOREVER, Certificate, CertificateKind

PERMITS = ("permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """With an authority's key ``ca`` and a user's ``key``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("ca", "key"):
        key = PrivateKey.generate(comment=f"{name} of ada")
        key.write_file(name)
        Path(f"{name}.pub").write_text(key.public_key.to_openssh_line(key.comment) + "\n")
    with monkeypatch.context() as environment:
        environment.setenv("TZ", "UTC")
        time.tzset()
        yield tmp_path
    time.tzset()


def keygen(*words: str, stdin: bytes = b"") -> Run:
    return run_here("keygen", *words, stdin=stdin)


def signed(*words: str) -> Certificate:
    """The certificate of ``key.pub`` that these words make."""
    run = keygen("-s", "ca", "-I", "an id", *words, "key.pub")
    assert (run.status, run.out) == (0, ""), run
    return Certificate.from_file("key-cert.pub")


def failed(run: Run, status: int, pattern: str) -> None:
    assert (run.status, run.err.count("\n")) == (status, 1), run
    assert re.fullmatch(f"trio-ssh-keygen: .*{pattern}.*\n", run.err), run.err


def test_a_user_certificate():
    run = keygen("-s", "ca", "-I", "an id", "-n", "ada,root", "key.pub")
    assert (run.status, run.out) == (0, "")
    assert run.err == 'Signed user key key-cert.pub: id "an id" serial 0 for ada,root valid forever\n'
    certificate = Certificate.from_file("key-cert.pub")
    assert certificate.public_key == PrivateKey.from_file("key").public_key
    assert certificate.authority == PrivateKey.from_file("ca").public_key
    assert (certificate.kind, certificate.key_id, certificate.principals) == (CertificateKind.USER, "an id", ("ada", "root"))
    assert (certificate.serial, certificate.valid_after, certificate.valid_before) == (0, 0, FOREVER)
    assert [name for name, _ in certificate.extensions] == list(PERMITS)
    assert Path("key-cert.pub").read_text().endswith(" key of ada\n")
    assert stat.S_IMODE(os.stat("key-cert.pub").st_mode) == 0o644


def test_a_host_certificate():
    certificate = signed("-h", "-n", "build.example", "-V", "20300101:20310101")
    assert (certificate.kind, certificate.principals, certificate.extensions) == (CertificateKind.HOST, ("build.example",), ())
    assert (certificate.valid_after, certificate.valid_before) == (1893456000, 1924992000)


def test_options():
    words = ["clear", "permit-pty", "force-command=/bin/ls", "source-address=192.0.2.0/24", "critical:a@b=c", "extension:d@e"]
    certificate = signed(*(word for option in words for word in ("-O", option)))
    assert [name for name, _ in certificate.critical_options] == ["a@b", "force-command", "source-address"]
    assert [name for name, _ in certificate.extensions] == ["d@e", "permit-pty"]
    assert [name for name, _ in signed("-O", "no-pty").extensions] == [name for name in PERMITS if name != "permit-pty"]
    assert signed("-h", "-O", "clear", "-O", "extension:d@e").extensions == (("d@e", b""),)


def test_serial_numbers():
    PrivateKey.generate().write_file("other")
    run = keygen("-q", "-s", "ca", "-I", "x", "-z", "+41", "key.pub", "other")
    assert (run.status, run.err) == (0, "")
    assert [Certificate.from_file(f"{name}-cert.pub").serial for name in ("key", "other")] == [41, 42]
    assert signed("-z", str(2**64 - 1)).serial == 2**64 - 1


def test_the_algorithm_of_the_signature():
    PrivateKey.generate("rsa", 2048).write_file("rsa")
    for words, algorithm in (([], "rsa-sha2-512"), (["-t", "rsa-sha2-256"], "rsa-sha2-256"), (["-t", "rsa"], "rsa-sha2-512")):
        assert keygen("-s", "rsa", "-I", "x", *words, "key.pub").status == 0
        assert Certificate.from_file("key-cert.pub").authority_algorithm == algorithm
    failed(
        keygen("-s", "ca", "-I", "x", "-t", "rsa-sha2-256", "key.pub"), 255, "the CA's key is of type ssh-ed25519, and signs by ssh-ed25519"
    )
    failed(
        keygen("-s", "rsa", "-I", "x", "-t", "ssh-rsa", "key.pub"),
        255,
        "-t ssh-rsa: the CA's key is of type ssh-rsa, and signs by rsa-sha2-512, rsa-sha2-256",
    )
    assert signed("-t", "ssh-ed25519").authority_algorithm == "ssh-ed25519"


def test_a_passphrase_of_the_authority():
    PrivateKey.from_file("ca").write_file("locked", "secret")
    assert keygen("-s", "locked", "-P", "secret", "-I", "x", "key.pub").status == 0
    failed(keygen("-s", "locked", "-P", "wrong", "-I", "x", "key.pub"), 255, "locked: this passphrase does not open the private key")


def test_an_authority_in_an_agent_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    failed(keygen("-s", "ca.pub", "-U", "-I", "x", "key.pub"), 255, "there is no agent: SSH_AUTH_SOCK is not set")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nowhere/agent")
    failed(keygen("-s", "ca.pub", "-U", "-I", "x", "key.pub"), 255, "cannot reach the agent at /nowhere/agent: No such file or directory")
    Path("notes").write_text("hello\n")
    failed(keygen("-s", "notes", "-U", "-I", "x", "key.pub"), 255, "notes: with -U, name the file with the public key of the authority")
    assert keygen("-U").err.startswith("trio-ssh-keygen: -U is for signing certificates")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-V", "soon"], "-V: 'soon' is not a time of validity: give .*"),
        (["-V", "20310101:20300101"], "-V: '20310101:20300101' leaves no time"),
        (["-V", "20300230:forever"], "-V: '20300230' is not a date"),
        (["-O", "permit-everything"], "-O: 'permit-everything' is not an option of certificates"),
        (["-O", "source-address=nowhere"], "-O: 'source-address=nowhere'"),
        (["-h", "-O", "permit-pty"], "-O permit-pty: this option is for certificates of users; leave it or -h out"),
    ],
)
def test_what_cannot_be_signed(words: list[str], text: str):
    failed(keygen("-s", "ca", "-I", "x", *words, "key.pub"), 255, text)
    assert not Path("key-cert.pub").exists()


def test_files_that_will_not_do():
    failed(keygen("-s", "ca", "-I", "x", "nowhere.pub"), 255, "nowhere.pub: cannot be read: No such file")
    failed(keygen("-s", "nowhere", "-I", "x", "key.pub"), 255, "nowhere: cannot be read: No such file")
    Path("notes").write_text("hello\n")
    failed(keygen("-s", "ca", "-I", "x", "notes"), 255, "notes: there is no public key in it that can be used; name a .pub file")
    signed()
    failed(keygen("-s", "ca", "-I", "x", "key-cert.pub"), 255, "key-cert.pub is a certificate already; name the .pub file of the key")
    PrivateKey.generate("ed448").write_file("ed448")
    failed(keygen("-s", "ca", "-I", "x", "ed448"), 255, "ed448 cannot be certified: there are no certificates for keys of type ssh-ed448")


# --- showing ----------------------------------------------------------------------------------------------------------------------------


def test_showing():
    certificate = signed("-n", "ada", "-V", "20300101Z:20310101Z", "-z", "7", "-O", "force-command=ls")
    run = keygen("-L", "-f", "key-cert.pub")
    assert (run.status, run.err) == (0, "")
    assert run.out.splitlines() == [
        "key-cert.pub:",
        "        Type: ssh-ed25519-cert-v01@openssh.com user certificate",
        f"        Public key: ED25519-CERT {certificate.public_key.fingerprint()}",
        f"        Signing CA: ED25519 {certificate.authority.fingerprint()} (using ssh-ed25519)",
        '        Key ID: "an id"',
        "        Serial: 7",
        "        Valid: from 2030-01-01T00:00:00 to 2031-01-01T00:00:00",
        "        Principals: ",
        "                ada",
        "        Critical Options: ",
        "                force-command ls",
        "        Extensions: ",
        *(f"                {name}" for name in PERMITS),
    ]


def test_showing_several():
    line = signed().to_openssh_line()
    key = Path("key.pub").read_text()
    text = f"{line}\n{key}# a comment\n{line}\n"
    Path("many").write_text(text)
    run = keygen("-L", "-f", "many")
    assert (run.status, re.findall(r"^many\S*", run.out, re.MULTILINE)) == (0, ["many:", "many:4:"])
    assert run.err == "trio-ssh-keygen: many line 2: it is a key, not a certificate\n"
    run = keygen("-L", "-f", "-", stdin=text.encode())
    assert (run.status, re.findall(r"^\(stdin\)\S*", run.out, re.MULTILINE)) == (0, ["(stdin):1:", "(stdin):4:"])
    failed(keygen("-L", "-f", "key.pub"), 1, "key.pub line 1: it is a key, not a certificate")
    Path("notes").write_text("ssh-ed25519-cert-v01@openssh.com AAAA\n")
    failed(keygen("-L", "-f", "notes"), 1, "notes line 1: not a certificate line")


def test_fingerprints_of_certificates():
    certificate = signed()
    run = keygen("-lv", "-f", "key-cert.pub")
    lines = run.out.splitlines()
    assert lines[0] == f"256 {certificate.public_key.fingerprint()} key of ada (ED25519-CERT)"
    assert lines[1] == "+-[ED25519-CERT]--+"
    failed(keygen("-e", "-f", "key-cert.pub"), 255, "key-cert.pub is a certificate; export the key itself")
