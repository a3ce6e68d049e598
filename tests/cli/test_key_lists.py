"""RevokedKeys and the like: plain lists of keys, read whole or not at all."""

from __future__ import annotations

import pytest

from tests.cli.logins import KEY, OTHER, certificate, line_of, lines_file
from trio_ssh import KeyFileError
from trio_ssh.cli.key_lists import read_key_list

DSA = "ssh-dss AAAAB3NzaC1kc3MAAAAA old"


def test_a_list(tmp_path):
    path = lines_file(tmp_path / "list", "# revoked", "", f"  {line_of(KEY)} of ada", DSA, f"{line_of(OTHER)}\r")
    assert read_key_list(str(path)) == {KEY.public_key, OTHER.public_key}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("garbage", "line 2: "),
        ("ssh-ed25519", "line 2: "),
        ("ssh-ed25519 AAAA", "line 2: "),
        ("SHA256:abcdef", "line 2: "),
        (certificate().to_openssh_line(), "line 2: "),
    ],
)
def test_one_bad_line_spoils_it(tmp_path, line, fault):
    path = lines_file(tmp_path / "list", line_of(KEY), line)
    with pytest.raises(KeyFileError, match=fault):
        read_key_list(str(path))


def test_what_is_no_list(tmp_path):
    (tmp_path / "krl").write_bytes(b"SSHKRL\n\0\0\0\0\1")
    for path, fault in ((tmp_path / "krl", "it is a KRL"), (tmp_path, "it is a directory"), (tmp_path / "none", "No such file")):
        with pytest.raises(KeyFileError, match=fault):
            read_key_list(str(path))
