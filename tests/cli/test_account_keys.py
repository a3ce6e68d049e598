"""AuthorizedKeysFile: tokens, several files, changes seen at once, StrictModes."""

from __future__ import annotations

import os
import pwd
from typing import Any

import attrs
import pytest

from trio_ssh import AuthAttempt, ConfigError, PrivateKey
from trio_ssh.cli.account_keys import AccountKeys, unsafe_place
from trio_ssh.server.accounts import Account

ME = pwd.getpwuid(os.getuid()).pw_name
KEY = PrivateKey.generate().public_key
OTHER = PrivateKey.generate().public_key


def attempt(username: str = ME, **changes: Any) -> AuthAttempt:
    return attrs.evolve(AuthAttempt(username=username, method="publickey", public_key=KEY, proven=True, peer="test"), **changes)


async def test_keys_are_read_at_each_attempt(tmp_path):
    path = tmp_path / "keys"
    policy = AccountKeys((str(tmp_path / "none"), str(path)))
    assert not (await policy(attempt())).accepted
    path.write_text(OTHER.to_openssh_line() + "\n")
    assert not (await policy(attempt())).accepted
    path.write_text(f"{OTHER.to_openssh_line()}\n{KEY.to_openssh_line()}\n")
    assert (await policy(attempt())).accepted
    assert (await policy(attempt(proven=False))).accepted
    path.unlink()
    assert not (await policy(attempt())).accepted


async def test_who_is_not_served(tmp_path):
    path = tmp_path / "keys"
    path.write_text(KEY.to_openssh_line())
    policy = AccountKeys((str(path),))
    for username in ("no-such-account", "", "../root", "a\0b", "x" * 500):
        assert not (await policy(attempt(username))).accepted
    assert not (await policy(attempt(method="password", public_key=None, password="x"))).accepted


def test_tokens():
    account = Account("ada", 1000, 1000, "/home/ada", "/bin/sh", (1000,))
    policy = AccountKeys((".ssh/authorized_keys", "/etc/keys/%u", "%h/more", "/%%"))
    assert policy.paths(account) == ("/home/ada/.ssh/authorized_keys", "/etc/keys/ada", "/home/ada/more", "/%")
    with pytest.raises(ConfigError, match="AuthorizedKeysFile"):
        AccountKeys(("%x",)).paths(account)


async def test_strict_modes(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    path = folder / "keys"
    path.write_text(KEY.to_openssh_line())
    strict, lax = AccountKeys((str(path),)), AccountKeys((str(path),), strict_modes=False)
    for guilty, mode in ((path, 0o664), (folder, 0o777)):
        before = guilty.stat().st_mode
        guilty.chmod(mode)
        assert not (await strict(attempt())).accepted
        assert (await lax(attempt())).accepted
        guilty.chmod(before)
    folder.chmod(0o1777)  # others cannot touch our file there
    assert (await strict(attempt())).accepted


def test_nothing_above_the_home_counts(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "keys").write_text("")
    (home / "keys").chmod(0o600)
    tmp_path.chmod(0o777)
    account = Account("me", os.getuid(), os.getgid(), str(home), "/bin/sh", ())
    assert unsafe_place(str(home / "keys"), account) == ""
    assert "chmod go-w" in unsafe_place(str(home / "keys"), attrs.evolve(account, home="/nowhere"))
    tmp_path.chmod(0o700)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else(tmp_path):
    path = tmp_path / "keys"
    path.write_text("")
    os.chown(path, 12345, -1)
    account = Account("me", 54321, 54321, str(tmp_path), "/bin/sh", ())
    assert "belongs to somebody else" in unsafe_place(str(path), account)


async def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    policy = AccountKeys((str(tmp_path / "fifo"), str(tmp_path), "/dev/zero"), strict_modes=False)
    assert not (await policy(attempt())).accepted
