"""Everything that can be wrong with a private key file comes out as one KeyFileError that says where, what, and what to do."""

from __future__ import annotations

import os
import socket
import tracemalloc
from pathlib import Path

import pytest

from tests.keys.counting import calls_during
from tests.keys.damage import load
from trio_ssh.errors import KeyFileError
from trio_ssh.keys import PassphraseRequired, PrivateKey, PrivateKeyFormat, WrongPassphrase


@pytest.fixture
def path(tmp_path):
    return tmp_path / "id"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "the file is empty; restore the private key from a backup or make a new one"),
        (b"\xef\xbb\xbf \r\n\n", "the file is empty"),
        (b"hello", "it is not a private key in OpenSSH or PEM format; check the path"),
        (b"\0" * 100, "it is not a private key"),
        (b"ssh-ed25519 AAAA x", "it is a public key; give the private key's file, mostly the one without .pub"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "it is a public key"),
        (b"---- BEGIN SSH2 PUBLIC KEY ----\n", "it is a public key"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\n", "-O private-openssh -o NEW"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "the file is cut off: its END line is missing"),
        (b"-----BEGIN OPENSSH PRIVATE KEY", "its BEGIN line is malformed"),
        (b"-----BEGIN " + b"A" * 200, "its BEGIN line is malformed"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n!!\n-----END OPENSSH PRIVATE KEY-----\n", "its base64 text is malformed"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "not start with the mark of the OpenSSH"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----\n", "not start with the mark"),
        (b"-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n", "kind 'DSA PRIVATE KEY' are not supported"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged or of a kind that is not supported; supported are"),
        (b"-----BEGIN RSA PRIVATE KEY-----\n\n-----END RSA PRIVATE KEY-----\n", "damaged or of a kind that is not supported"),
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "the private key is damaged"),
        (b"-----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY-----\nmore", "something follows the END line"),
        (b"x" * ((1 << 20) + 1), "larger than 1048576 bytes"),
    ],
)
def test_e07_what_is_no_private_key(path, content, text):
    assert text in str(load(path, content))


def test_e07_trailing_text_is_refused(path, keys):
    text = keys["ed25519"].to_openssh()
    assert "something follows the END line" in str(load(path, text + text))


def test_e07_directories_devices_and_what_is_not_there(tmp_path):
    for bad, text in [
        (tmp_path / "none", "cannot be read: No such file or directory; check the path"),
        (tmp_path, "it is a directory; give the path of a regular file"),
        (tmp_path / "a\0b", "cannot be read: embedded null byte"),
        (Path("/dev/null/x"), "cannot be read: Not a directory"),
        (Path("/dev/zero"), "it is not a regular file"),
    ]:
        with pytest.raises(KeyFileError) as caught:
            PrivateKey.from_file(bad)
        assert text in str(caught.value)
        assert caught.value.path == str(bad)


def test_e07_fifos_and_sockets_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(KeyFileError, match="not a regular file"):
        PrivateKey.from_file(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(tmp_path / "sock"))
        with pytest.raises(KeyFileError, match="cannot be read"):
            PrivateKey.from_file(tmp_path / "sock")


def test_unreadable(tmp_path, keys):
    path = tmp_path / "id"
    keys["ed25519"].write_file(path)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # nothing is unreadable to root
        os.seteuid(65534)
    try:
        with pytest.raises(KeyFileError, match="cannot be read: Permission denied; check who owns it and its mode"):
            PrivateKey.from_file(path)
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o610, 0o601, 0o777])
def test_e07_a_mode_that_lets_others_in_is_refused(tmp_path, keys, mode):
    path = tmp_path / "a key's file"
    keys["ed25519"].write_file(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError) as caught:
        PrivateKey.from_file(path)
    assert f"its mode {mode:04o} lets others get at the private key" in str(caught.value)
    assert str(caught.value).endswith(f"""run: chmod 600 '{tmp_path}/a key'"'"'s file'""")
    for good in (0o600, 0o400):
        path.chmod(good)
        assert PrivateKey.from_file(path) == keys["ed25519"]


def test_e07_the_mode_is_judged_before_the_content(path):
    path.write_bytes(b"garbage")
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="its mode 0644"):
        PrivateKey.from_file(path)


def test_e07_passphrases_asked_for_and_wrong(path, keys):
    for text in (keys["rsa"].export(form, "right", rounds=1) for form in PrivateKeyFormat):
        error = load(path, text)
        assert isinstance(error, PassphraseRequired)
        assert str(error) == f"{path}: the private key is encrypted; give its passphrase"
        for wrong in ("wrong", "", "\ud800", "x" * 5000):
            error = load(path, text, wrong)
            assert isinstance(error, WrongPassphrase)
            assert "this passphrase does not open the private key; try again" in str(error)


def test_from_bytes_says_private_key_where_a_path_would_stand(keys):
    with pytest.raises(PassphraseRequired) as caught:
        PrivateKey.from_bytes(keys["ed25519"].to_openssh("pw", rounds=1))
    assert str(caught.value) == "private key: the private key is encrypted; give its passphrase"
    assert caught.value.path is None


def test_e07_a_file_of_100_mib_is_refused_after_one(path):
    """It is sparse, so that the disk is not troubled; no more than the allowed size and a byte is read of it."""
    with open(path, "wb") as file:
        file.truncate(100 << 20)
    path.chmod(0o600)
    errors: list[KeyFileError] = []

    def read() -> None:
        with pytest.raises(KeyFileError) as caught:
            PrivateKey.from_file(path)
        errors.append(caught.value)

    tracemalloc.start()
    try:
        read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(errors[0]) == f"{path}: the file is larger than 1048576 bytes; it cannot be the right one"
    assert peak < 4 << 20
    assert calls_during(read)["read"] <= 3


def test_e07_zeros_without_end_are_refused_unread(tmp_path):
    (tmp_path / "id").symlink_to("/dev/zero")
    for path in (tmp_path / "id", Path("/dev/zero")):
        with pytest.raises(KeyFileError, match="it is not a regular file; give the path of a regular file"):
            PrivateKey.from_file(path)


def test_e07_only_the_owners_own_carelessness_is_refused(path, keys):
    """As OpenSSH does: a mode says something of a file that is ours; whose it is otherwise, such as root's, is not ours to judge."""
    keys["ed25519"].write_file(path)
    path.chmod(0o644)
    if os.getuid() == 0:
        os.chown(path, 65534, 65534)
        assert PrivateKey.from_file(path) == keys["ed25519"]
    else:  # pragma: no cover - the room runs as root
        with pytest.raises(KeyFileError, match="it is not a private key"):
            PrivateKey.from_file("/etc/hostname")


def test_e07_what_else_ssh_lets_pass(path, keys):
    """Modes that let only the owner in, whatever for, and a link that others may read, to a file that they may not."""
    keys["ed25519"].write_file(path)
    for mode in (0o400, 0o600, 0o700):
        path.chmod(mode)
        assert PrivateKey.from_file(path) == keys["ed25519"]
    link = path.with_name("link")
    link.symlink_to(path)
    assert PrivateKey.from_file(link) == keys["ed25519"]
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="its mode 0644"):
        PrivateKey.from_file(link)
