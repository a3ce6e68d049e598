"""Fingerprints and pictures, equal to ssh-keygen's."""

from __future__ import annotations

import pytest

from tests.keys.conftest import KINDS
from trio_ssh.keys import PrivateKey, key_family, md5_fingerprint, randomart, randomart_title, sha256_fingerprint
from trio_ssh.keys.security_keys import SECURITY_KEY_TYPES

OPENSSH_KINDS = [*KINDS, *SECURITY_KEY_TYPES]


@pytest.mark.parametrize("digest", ["SHA256", "MD5", "SHA1", "SHA384", "SHA512"])
@pytest.mark.parametrize("kind", OPENSSH_KINDS)
def test_equal_to_ssh_keygen(run, tmp_path, keys, software_keys, kind, digest):
    public = (keys | software_keys)[kind].public_key
    (tmp_path / "key.pub").write_text(public.to_openssh_line("c") + "\n")
    head, *picture = run("ssh-keygen", "-lv", "-E", digest.lower(), "-f", tmp_path / "key.pub").splitlines()
    assert head == f"{public.bits} {public.fingerprint(digest)} c ({key_family(public.algorithm)})"
    assert "\n".join(picture) == public.randomart(digest)


@pytest.mark.parametrize("kind", OPENSSH_KINDS)
def test_certificates_are_drawn_as_ssh_keygen_does(run, tmp_path, keys, software_keys, kind):
    """The picture is that of the key; the title says that it is a certificate, and loses the size, or its bracket, where it is too long."""
    public = (keys | software_keys)[kind].public_key
    (tmp_path / "key.pub").write_text(public.to_openssh_line() + "\n")
    PrivateKey.generate().write_file(tmp_path / "ca")
    run("ssh-keygen", "-q", "-s", "ca", "-I", "id", "key.pub")
    key_type = (tmp_path / "key-cert.pub").read_text().split()[0]
    head, *picture = run("ssh-keygen", "-lv", "-f", "key-cert.pub").splitlines()
    assert head.split()[1] == public.fingerprint()
    assert head.endswith(f"({key_family(key_type)})")
    assert "\n".join(picture) == randomart(public.blob, randomart_title(key_type, public.bits))


def test_titles():
    assert {key_type: randomart_title(key_type, bits) for key_type, bits in [
        ("ssh-ed25519", 256), ("ssh-ed448", 456), ("ssh-rsa", 16384), ("ecdsa-sha2-nistp521", 521), ("sk-ssh-ed25519@openssh.com", 256),
        ("sk-ecdsa-sha2-nistp256@openssh.com", 256), ("ssh-rsa-cert-v01@openssh.com", 4096), ("ssh-ed25519-cert-v01@openssh.com", 256),
        ("ecdsa-sha2-nistp384-cert-v01@openssh.com", 384), ("sk-ssh-ed25519-cert-v01@openssh.com", 256), ("own@example.com", 1),
        ("ssh-rsa@example.com", 1), ("a-very-long-name@example.com", 1),
    ]} == {
        "ssh-ed25519": "ED25519 256", "ssh-ed448": "ED448 456", "ssh-rsa": "RSA 16384", "ecdsa-sha2-nistp521": "ECDSA 521",
        "sk-ssh-ed25519@openssh.com": "ED25519-SK 256", "sk-ecdsa-sha2-nistp256@openssh.com": "ECDSA-SK 256",
        "ssh-rsa-cert-v01@openssh.com": "RSA-CERT 4096", "ssh-ed25519-cert-v01@openssh.com": "ED25519-CERT",
        "ecdsa-sha2-nistp384-cert-v01@openssh.com": "ECDSA-CERT 384", "sk-ssh-ed25519-cert-v01@openssh.com": "ED25519-SK-CERT",
        "own@example.com": "own@example.com", "ssh-rsa@example.com": "ssh-rsa@example.com",
        "a-very-long-name@example.com": "a-very-long-name@example.com",
    }  # fmt: skip


def test_the_key_says_its_own(any_key):
    public = any_key.public_key
    assert public.fingerprint() == sha256_fingerprint(public.blob)
    assert public.fingerprint("MD5") == public.fingerprint("md5") == md5_fingerprint(public.blob)
    assert len(public.fingerprint()) == len("SHA256:") + 43
    assert public.randomart().startswith("+")
    for bad in ("SHA3", "", "shake_128"):
        with pytest.raises(ValueError, match="there is no fingerprint by"):
            public.fingerprint(bad)
        with pytest.raises(ValueError, match="there is no fingerprint by"):
            public.randomart(bad)


def test_a_picture_keeps_its_shape_whatever_the_walk_and_the_title():
    for title in ("ED25519 256", "", "a-very-long-name@example.com"):
        lines = randomart(b"", title).splitlines()
        assert len(lines) == 11
        assert {len(line) for line in lines} == {19}
        assert sum(line.count("S") for line in lines[1:-1]) <= 1
        assert sum(line.count("E") for line in lines[1:-1]) == 1
