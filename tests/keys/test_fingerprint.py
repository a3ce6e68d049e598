"""Fingerprints and pictures, equal to ssh-keygen's."""

from __future__ import annotations

import pytest

from trio_ssh.keys import md5_fingerprint, randomart, randomart_title, sha256_fingerprint


@pytest.mark.parametrize("digest", ["SHA256", "MD5", "SHA512"])
def test_equal_to_ssh_keygen(run, tmp_path, key, digest):
    public = key.public_key
    (tmp_path / "key.pub").write_text(public.to_openssh_line("c") + "\n")
    head, *picture = run("ssh-keygen", "-lv", "-E", digest.lower(), "-f", tmp_path / "key.pub").splitlines()
    if digest != "SHA512":
        shown = sha256_fingerprint(public.blob) if digest == "SHA256" else md5_fingerprint(public.blob)
        family = randomart_title(public.algorithm, public.bits).split()[0]
        assert head == f"{public.bits} {shown} c ({family})"
    assert "\n".join(picture) == randomart(public.blob, randomart_title(public.algorithm, public.bits), digest)


def test_the_key_says_its_own(key):
    assert key.public_key.fingerprint() == sha256_fingerprint(key.public_key.blob)
    assert len(key.public_key.fingerprint()) == len("SHA256:") + 43


def test_a_heavily_walked_field_stays_in_the_picture():
    lines = randomart(b"", "ED25519 256").splitlines()
    assert len(lines) == 11
    assert {len(line) for line in lines} == {19}
    assert sum(line.count("S") for line in lines[1:-1]) <= 1
    assert sum(line.count("E") for line in lines[1:-1]) == 1
