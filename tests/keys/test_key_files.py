"""The two files of a key: written, and given another passphrase, comment or format, without a moment in which there is no key."""

from __future__ import annotations

import os

import pytest

from trio_ssh.errors import KeyFileError
from trio_ssh.keys import (
    CommentedPublicKey,
    PassphraseRequired,
    PrivateKey,
    PrivateKeyFormat,
    WrongPassphrase,
    change_comment,
    change_passphrase,
    public_path,
    write_key_pair,
)


@pytest.fixture
def path(tmp_path, keys):
    path = tmp_path / "id"
    write_key_pair(keys["nistp256"], path, "old", rounds=1)
    return path


def mode_of(path) -> int:
    return os.stat(path).st_mode & 0o777


def test_a_pair(path, keys):
    key = keys["nistp256"]
    assert PrivateKey.from_file(path, "old") == key
    assert CommentedPublicKey.from_file(public_path(path)) == CommentedPublicKey(key.public_key, "nistp256 of a test")
    assert (tmp := path.parent / "id.pub").read_text() == key.public_key.to_openssh_line(key.comment) + "\n"
    assert (mode_of(path), mode_of(tmp) & ~0o044) == (0o600, 0o600)


def test_a_pair_replaces_no_private_key_unasked(path, keys):
    before = path.read_bytes(), (path.parent / "id.pub").read_bytes()
    with pytest.raises(KeyFileError, match="File exists"):
        write_key_pair(keys["ed25519"], path)
    assert (path.read_bytes(), (path.parent / "id.pub").read_bytes()) == before
    write_key_pair(keys["ed25519"], path, replace=True)
    assert PrivateKey.from_file(path) == keys["ed25519"]
    assert CommentedPublicKey.from_file(public_path(path)).key == keys["ed25519"].public_key


@pytest.mark.parametrize("new", ["new", None])
@pytest.mark.parametrize("form", PrivateKeyFormat)
def test_another_passphrase(path, keys, form, new):
    assert change_passphrase(path, "old", new, form=form, rounds=1) == keys["nistp256"]
    assert PrivateKey.from_file(path, new) == keys["nistp256"]
    assert mode_of(path) == 0o600
    if new:
        with pytest.raises(WrongPassphrase):
            PrivateKey.from_file(path, "old")
    change_passphrase(path, new, "old", rounds=1)
    assert PrivateKey.from_file(path, "old") == keys["nistp256"]


def test_what_fails_changes_nothing(path):
    before = path.read_bytes()
    with pytest.raises(WrongPassphrase):
        change_passphrase(path, "wrong", "new")
    with pytest.raises(PassphraseRequired):
        change_passphrase(path, None, "new")
    with pytest.raises(ValueError, match="the passphrase is empty"):
        change_passphrase(path, "old", "")
    with pytest.raises(ValueError, match="rounds must be 1 to 2048"):
        change_passphrase(path, "old", "new", rounds=0)
    with pytest.raises(PassphraseRequired):
        change_comment(path, "another")
    with pytest.raises(WrongPassphrase):
        change_comment(path, "another", "wrong")
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["id", "id.pub"]


def test_another_comment(path):
    assert change_comment(path, "ada@example.com", "old", rounds=1).comment == "ada@example.com"
    assert PrivateKey.from_file(path, "old").comment == "ada@example.com"
    assert CommentedPublicKey.from_file(public_path(path)).comment == "ada@example.com"
    with pytest.raises(PassphraseRequired):
        PrivateKey.from_file(path)


def test_another_comment_encrypts_nothing(tmp_path, keys):
    """A passphrase that was not needed does not come into force; and PEM, which has no room for a comment, becomes OpenSSH's format."""
    keys["rsa"].write_file(tmp_path / "id", form=PrivateKeyFormat.PEM)
    change_comment(tmp_path / "id", "another", "not needed")
    assert PrivateKey.from_file(tmp_path / "id").comment == "another"


def test_converting_keeps_the_key(tmp_path, keys):
    """From each format into each, in place."""
    path = tmp_path / "id"
    for key in (keys["rsa"], keys["nistp521"]):
        key.write_file(path)
        for form in [*PrivateKeyFormat, *reversed(PrivateKeyFormat)]:
            for passphrase in ("pw", None):
                old = "pw" if passphrase is None else None
                assert change_passphrase(path, old, passphrase, form=form, rounds=1) == key
        assert PrivateKey.from_file(path) == key
