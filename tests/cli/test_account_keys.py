"""AuthorizedKeysFile, StrictModes, TrustedUserCAKeys, principals, RevokedKeys: whose keys open an account."""

from __future__ import annotations

import os
from typing import Any

import attrs
import pytest

from tests.cli.logins import AUTHORITY, KEY, ME, OTHER, attempt, certificate, line_of, lines_file, login, rules_of, verdict
from trio_ssh import UNKNOWN_USER, ConfigError, PrivateKey
from trio_ssh.cli.account_files import AccountFiles, unsafe_place
from trio_ssh.cli.account_keys import AccountKeys
from trio_ssh.config import SSHDConfig
from trio_ssh.connection.factors import chains_of
from trio_ssh.server.accounts import Account

ADA = Account("ada", 1000, 1000, "/home/ada", "/bin/sh", (1000,))


async def test_keys_are_read_at_each_attempt(tmp_path):
    path = tmp_path / "keys"
    rules = await login(rules_of(f"AuthorizedKeysFile {tmp_path}/none {path}"))
    ((policy,), *_) = chains_of(rules.authenticate)
    assert not (await policy(attempt())).accepted
    lines_file(path, line_of(OTHER))
    assert not (await policy(attempt())).accepted
    lines_file(path, line_of(OTHER), line_of(KEY))
    assert (await policy(attempt())).accepted
    assert (await policy(attempt(proven=False))).accepted
    path.unlink()
    assert not (await policy(attempt())).accepted


@pytest.mark.parametrize("username", ["no-such-account", "", "a\0b", "x" * 500, "\udcff"])
async def test_b09_who_does_not_exist_is_asked_the_same(tmp_path, username):
    path = lines_file(tmp_path / "keys", line_of(KEY))
    text = f"AuthorizedKeysFile {path}\nMatch User {ME}\nBanner none"
    there, absent = await login(rules_of(text)), await login(rules_of(text), username)
    assert [[p.methods for p in chain] for chain in chains_of(there.authenticate)] == [
        [p.methods for p in chain] for chain in chains_of(absent.authenticate)
    ]
    assert attrs.evolve(there, authenticate=absent.authenticate) == absent
    for chain in chains_of(absent.authenticate):
        if chain[0].methods == ("publickey",):
            assert await chain[0](attempt(username)) == UNKNOWN_USER  # although it holds a key that is listed


@pytest.mark.parametrize("username", ["../../root", "~root", "$HOME", "C:x", "", ".."])
async def test_e13_a_name_that_is_no_account_reaches_no_path(tmp_path, username):
    (tmp_path / "etc" / "root").mkdir(parents=True)
    lines_file(tmp_path / "etc" / "root" / "keys", line_of(KEY))
    answer = await verdict(f"AuthorizedKeysFile {tmp_path}/etc/%u/keys {tmp_path}/etc/root/keys", username=username)
    assert answer == UNKNOWN_USER


def keys_of(text: str, account: Account = ADA) -> AccountKeys:
    return AccountKeys(SSHDConfig.from_text(text).settings, account)


def test_tokens():
    found = keys_of("AuthorizedKeysFile .ssh/authorized_keys /etc/keys/%u %h/more /%% /k/%U").paths()
    assert found == ("/home/ada/.ssh/authorized_keys", "/etc/keys/ada", "/home/ada/more", "/%", "/k/1000")
    assert keys_of("AuthorizedKeysFile none").paths() == ()
    with pytest.raises(ConfigError, match="AuthorizedKeysFile"):
        keys_of("AuthorizedKeysFile %x").paths()


async def test_an_unknown_token_lets_nobody_in():
    assert not (await verdict("AuthorizedKeysFile %x")).accepted


async def test_strict_modes(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    path = lines_file(folder / "keys", line_of(KEY))
    for guilty, mode in ((path, 0o664), (folder, 0o777)):
        before = guilty.stat().st_mode
        guilty.chmod(mode)
        assert not (await verdict(f"AuthorizedKeysFile {path}")).accepted
        assert (await verdict(f"AuthorizedKeysFile {path}\nStrictModes no")).accepted
        guilty.chmod(before)
    folder.chmod(0o1777)  # others cannot touch our file there
    assert (await verdict(f"AuthorizedKeysFile {path}")).accepted


def test_nothing_above_the_home_counts(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    lines_file(home / "keys")
    tmp_path.chmod(0o777)
    account = Account("me", os.getuid(), os.getgid(), str(home), "/bin/sh", ())
    assert unsafe_place(str(home / "keys"), account) == ""
    assert "chmod go-w" in unsafe_place(str(home / "keys"), attrs.evolve(account, home="/nowhere"))
    tmp_path.chmod(0o700)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else(tmp_path):
    path = lines_file(tmp_path / "keys")
    os.chown(path, 12345, -1)
    account = Account("me", 54321, 54321, str(tmp_path), "/bin/sh", ())
    assert "belongs to somebody else" in unsafe_place(str(path), account)


async def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert not (await verdict(f"AuthorizedKeysFile {tmp_path}/fifo {tmp_path} /dev/zero\nStrictModes no")).accepted
    assert AccountFiles(ADA).read(str(tmp_path / "nothing"), str) is None


@pytest.mark.parametrize(
    ("options", "permissions"),
    [
        ("restrict,pty", {"terminal": True, "port_forwarding": False, "user_rc": False}),
        ('command="date"', {"force_command": "date"}),
        ('environment="A=1",environment="B=2"', {"environ": ()}),
        ("no-touch-required", {"touch_required": False}),
        ("no-user-rc", {"user_rc": False}),
    ],
)
async def test_what_a_line_allows(tmp_path, options, permissions):
    path = lines_file(tmp_path / "keys", line_of(KEY, options))
    answer = await verdict(f"AuthorizedKeysFile {path}")
    assert answer.accepted
    assert {name: getattr(answer.permissions, name) for name in permissions} == permissions


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        ('from="192.0.2.0/24"', True),
        ('from="192.0.2.0/24,!192.0.2.7"', False),
        ('from="198.51.100.1"', False),
        ('expiry-time="20200101"', False),
        ('expiry-time="20990101"', True),
        ("cert-authority", False),
        ("frobnicate", False),
    ],
)
async def test_whom_a_line_lets_in(tmp_path, options, accepted):
    path = lines_file(tmp_path / "keys", line_of(KEY, options))
    assert (await verdict(f"AuthorizedKeysFile {path}")).accepted is accepted


async def test_what_stands_above_a_line(tmp_path):
    path = lines_file(tmp_path / "keys", line_of(KEY, 'no-touch-required,environment="LC_X=1",environment="PATH=/"'))
    text = f"AuthorizedKeysFile {path}\nPermitUserEnvironment LC_*\nPubkeyAuthOptions touch-required verify-required"
    permissions = (await verdict(text)).permissions
    assert permissions.environ == (("LC_X", "1"),)
    assert (permissions.touch_required, permissions.verify_required) == (True, True)


# --- certificates ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ca(tmp_path):
    return lines_file(tmp_path / "ca", "# authorities", line_of(OTHER), line_of(AUTHORITY))


async def test_a_trusted_authority(tmp_path, ca):
    text = f"TrustedUserCAKeys {ca}\nAuthorizedKeysFile none"
    answer = await verdict(text, certificate(extensions=(("permit-pty", b""),)))
    assert answer.accepted
    assert (answer.permissions.terminal, answer.permissions.port_forwarding) == (True, False)
    assert answer.detail == (
        f"ED25519-CERT {KEY.public_key.fingerprint()} ID of a test (serial 7) CA ED25519 {AUTHORITY.public_key.fingerprint()}"
    )
    assert not (await verdict(text, certificate(["somebody"]))).accepted
    assert not (await verdict(text, certificate([]))).accepted
    assert not (await verdict(text, certificate(authority=PrivateKey.generate()))).accepted
    assert not (await verdict(text, KEY.public_key)).accepted
    assert not (await verdict("AuthorizedKeysFile none", certificate())).accepted
    assert not (await verdict(f"TrustedUserCAKeys {tmp_path}/nothing\nAuthorizedKeysFile none", certificate())).accepted


async def test_a_line_for_an_authority(tmp_path):
    path = lines_file(tmp_path / "keys", line_of(AUTHORITY, 'cert-authority,principals="web,db",no-pty'))
    answer = await verdict(f"AuthorizedKeysFile {path}", certificate(["db"], extensions=(("permit-pty", b""),)))
    assert answer.accepted
    assert not answer.permissions.terminal
    assert not (await verdict(f"AuthorizedKeysFile {path}", certificate())).accepted


async def test_principals_of_a_file(tmp_path, ca):
    lines_file(tmp_path / ME, "# who may", 'command="id",no-pty web', "db")
    text = f"TrustedUserCAKeys {ca}\nAuthorizedKeysFile none\nAuthorizedPrincipalsFile {tmp_path}/%u"
    assert (await verdict(text, certificate(["web"]))).permissions.force_command == "id"
    assert (await verdict(text, certificate(["x", "db"]))).permissions.force_command is None
    assert not (await verdict(text, certificate())).accepted  # the account's name is no principal any more
    assert not (await verdict(text.replace("%u", "%U"), certificate(["web"]))).accepted
    (tmp_path / ME).chmod(0o666)
    assert not (await verdict(text, certificate(["web"]))).accepted


@pytest.mark.parametrize(
    ("setting", "accepted"),
    [
        ("CASignatureAlgorithms ssh-ed25519", True),
        ("CASignatureAlgorithms rsa-sha2-512", False),
        ("PubkeyAcceptedAlgorithms ssh-ed25519-cert-v01@openssh.com", True),
        ("PubkeyAcceptedAlgorithms ssh-ed25519", False),
    ],
)
async def test_algorithms_of_certificates(ca, setting, accepted):
    assert (await verdict(f"{setting}\nTrustedUserCAKeys {ca}", certificate())).accepted is accepted


async def test_b06_limits_of_a_certificate_stay(ca):
    options: dict[str, Any] = {"critical_options": (("force-command", b"\0\0\0\2id"), ("source-address", b"\0\0\0\x0c192.0.2.0/24"))}
    text = f"TrustedUserCAKeys {ca}"
    assert (await verdict(text, certificate(**options))).permissions.force_command == "id"
    assert not (await verdict(text, certificate(**options), address="198.51.100.1")).accepted
    assert not (await verdict(text, certificate(**options), address="")).accepted
    options["critical_options"] = (("source-address", b"\0\0\0\0"),)
    assert not (await verdict(text, certificate(**options))).accepted
    options["critical_options"] = (("frobnicate", b""),)
    assert not (await verdict(text, certificate(**options))).accepted


# --- what no line can allow --------------------------------------------------------------------------------------------------------------


async def test_b14_revoked_keys_and_authorities(tmp_path, ca):
    keys = lines_file(tmp_path / "keys", line_of(KEY))
    text = f"AuthorizedKeysFile {keys}\nTrustedUserCAKeys {ca}\nRevokedKeys {tmp_path}/revoked"
    assert not (await verdict(text)).accepted  # a list that is not there revokes everybody
    for revoked, key_will_do, certificate_will_do in ((OTHER, True, True), (KEY, False, False), (AUTHORITY, True, False)):
        lines_file(tmp_path / "revoked", "# revoked", line_of(revoked))
        assert (await verdict(text)).accepted is key_will_do
        assert (await verdict(text, certificate())).accepted is certificate_will_do
    lines_file(tmp_path / "revoked", "SSHKRL\n\0whatever")
    assert not (await verdict(text)).accepted


async def test_short_rsa_keys(tmp_path):
    key = PrivateKey.generate("rsa", 2048)
    keys = lines_file(tmp_path / "keys", line_of(key))
    assert (await verdict(f"AuthorizedKeysFile {keys}", key.public_key)).accepted
    answer = await verdict(f"AuthorizedKeysFile {keys}\nRequiredRSASize 3072", key.public_key)
    assert not answer.accepted
    assert "RequiredRSASize 3072" in answer.detail


async def test_algorithms(tmp_path):
    keys = lines_file(tmp_path / "keys", line_of(KEY))
    assert not (await verdict(f"AuthorizedKeysFile {keys}\nPubkeyAcceptedAlgorithms rsa-sha2-512")).accepted


@pytest.mark.parametrize(
    ("rule", "options", "accepted"),
    [
        ("yes", "", True),
        ("prohibit-password", "", True),
        ("forced-commands-only", "", False),
        ("forced-commands-only", 'command="id"', True),
        ("no", 'command="id"', False),
    ],
)
@pytest.mark.skipif(os.getuid() != 0, reason="about root, and only root can be root")
async def test_root(tmp_path, rule, options, accepted):
    keys = lines_file(tmp_path / "keys", line_of(KEY, options))
    answer = await verdict(f"AuthorizedKeysFile {keys}\nPermitRootLogin {rule}")
    assert answer.accepted is accepted
    assert answer.accepted or "PermitRootLogin" in answer.detail
