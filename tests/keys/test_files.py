"""Writing key files: never readable by others, never half, never through somebody's symbolic link."""

from __future__ import annotations

import os
import re
import stat

import pytest

from trio_ssh.errors import KeyFileError
from trio_ssh.keys import PrivateKey
from trio_ssh.keys.files import file_mark, is_null_device, read_if_exists, read_regular_file, replace_file, write_public_file


def mode_of(path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_e08_mode_is_0600_under_any_umask(tmp_path, keys, umask):
    old = os.umask(umask)
    try:
        keys["ed25519"].write_file(tmp_path / "id")
    finally:
        os.umask(old)
    assert mode_of(tmp_path / "id") == 0o600
    assert os.listdir(tmp_path) == ["id"]
    assert PrivateKey.from_file(tmp_path / "id") == keys["ed25519"]


def test_e08_the_temporary_file_is_0600_before_anything_is_in_it(tmp_path):
    seen = []

    def look() -> bool:
        (temporary,) = os.listdir(tmp_path)
        seen.append((mode_of(tmp_path / temporary), (tmp_path / temporary).read_bytes()))
        return True

    old = os.umask(0)
    try:
        assert replace_file(tmp_path / "id", b"secret", only_if=look)
    finally:
        os.umask(old)
    assert seen == [(0o600, b"secret")]


def test_e08_a_symbolic_link_is_replaced_not_followed(tmp_path, keys):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "id").symlink_to(victim)
    keys["ed25519"].write_file(tmp_path / "id")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "id").is_symlink()
    assert PrivateKey.from_file(tmp_path / "id") == keys["ed25519"]


@pytest.mark.parametrize("dangling", [False, True])
def test_e08_without_leave_nothing_that_is_there_is_replaced(tmp_path, keys, dangling):
    """A file, a link to one, a link to nowhere: none is followed, none goes."""
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "id").symlink_to(tmp_path / ("nowhere" if dangling else "victim"))
    for name in ("victim", "id"):
        with pytest.raises(KeyFileError, match="cannot be written: File exists; choose another path, or remove what is there"):
            keys["ed25519"].write_file(tmp_path / name, replace=False)
    assert sorted(os.listdir(tmp_path)) == ["id", "victim"]
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert (tmp_path / "id").is_symlink()
    keys["ed25519"].write_file(tmp_path / "new", replace=False)
    assert mode_of(tmp_path / "new") == 0o600
    assert os.lstat(tmp_path / "new").st_nlink == 1
    assert PrivateKey.from_file(tmp_path / "new") == keys["ed25519"]


def test_e08_the_name_that_is_written_first_cannot_be_foreseen(tmp_path):
    """Nobody can put a link where the temporary file will be; and if there were one, O_EXCL would not open it."""
    names: set[str] = set()

    def look() -> bool:
        names.update(name for name in os.listdir(tmp_path) if name.endswith(".tmp"))
        return True

    for _ in range(20):
        replace_file(tmp_path / "id", b"secret", only_if=look)
    assert len(names) == 20
    assert all(re.fullmatch(r"id\.[0-9a-f]{16}\.tmp", name) for name in names)


def test_e08_public_files_are_as_open_as_the_umask_says(tmp_path):
    old = os.umask(0o027)
    try:
        write_public_file(tmp_path / "id.pub", b"public")
    finally:
        os.umask(old)
    assert mode_of(tmp_path / "id.pub") == 0o640


def test_e08_an_open_file_is_replaced_and_too_open_ones_become_private(tmp_path, keys):
    (tmp_path / "id").write_bytes(b"old")
    (tmp_path / "id").chmod(0o644)
    with open(tmp_path / "id", "rb") as old:
        keys["ed25519"].write_file(tmp_path / "id", "pw")
        assert old.read() == b"old"  # whoever had it open keeps the old one, whole
    assert mode_of(tmp_path / "id") == 0o600
    assert PrivateKey.from_file(tmp_path / "id", "pw") == keys["ed25519"]


def test_e08_a_failed_write_leaves_nothing_and_says_what_happened(tmp_path, keys):
    for path, text in [
        (tmp_path / "none" / "id", "cannot be written: No such file or directory; check the path"),
        (tmp_path / ("x" * 300), "cannot be written: File name too long"),
        (tmp_path / "a\0b", "cannot be written: embedded null byte"),
    ]:
        with pytest.raises(KeyFileError) as caught:
            keys["ed25519"].write_file(path)
        assert text in str(caught.value)
        assert caught.value.path == str(path)
        assert str(caught.value).isprintable()
    (tmp_path / "folder").mkdir()
    with pytest.raises(KeyFileError, match="cannot be written: Is a directory"):
        keys["ed25519"].write_file(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


def test_replace_only_if(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert not replace_file(path, b"new", only_if=lambda: False)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_replace_keeps_the_mode_if_asked(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o644)
    assert replace_file(path, b"new", keep_mode=True)
    assert mode_of(path) == 0o644
    assert path.read_bytes() == b"new"


def test_marks_tell_states_apart(tmp_path):
    path = tmp_path / "file"
    assert file_mark(path) is None
    path.write_bytes(b"a")
    first = file_mark(path)
    assert first == file_mark(path)
    path.write_bytes(b"ab")
    assert file_mark(path) not in (None, first)


def test_reading_is_bounded(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    assert read_regular_file(path, 100) == b"x" * 100
    with pytest.raises(KeyFileError, match="larger than 99 bytes"):
        read_regular_file(path, 99)
    with open(path, "wb") as file:
        file.truncate(1 << 30)  # a sparse GiB: refused without being read
    with pytest.raises(KeyFileError, match="larger than"):
        read_regular_file(path)


def test_missing_and_null_are_empty_where_that_is_meant(tmp_path):
    assert read_if_exists(tmp_path / "none", 10) == b""
    assert read_if_exists("/dev/null", 10) == b""
    (tmp_path / "link").symlink_to("/dev/null")
    assert is_null_device(tmp_path / "link")
    assert not is_null_device("/dev/zero")
    assert not is_null_device(tmp_path / "none")
    os.mkfifo(tmp_path / "fifo")
    for bad in ("/dev/zero", tmp_path, tmp_path / "fifo"):
        with pytest.raises(KeyFileError, match="give the path of a regular file"):
            read_if_exists(bad, 10)
    with pytest.raises(KeyFileError, match="cannot be read"):
        read_if_exists(tmp_path / "fifo" / "x", 10)
