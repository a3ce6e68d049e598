"""What holds for one login: Match blocks, lists of users and groups, ways in, the bound on what keys allow, passwords."""

from __future__ import annotations

import grp
import logging
import os

import attrs
import pytest

from tests.cli.logins import KEY, ME, NOW, attempt, line_of, lines_file, login, methods_of, rules_of, verdict
from trio_ssh import UNKNOWN_USER, AuthAttempt, ConfigError, Login, Permissions
from trio_ssh.cli.account_access import closed_because
from trio_ssh.cli.account_rules import AccountRules, subject_of
from trio_ssh.cli.account_settings import check_account_settings
from trio_ssh.config import SSHDConfig
from trio_ssh.config.sshd_match import Subject
from trio_ssh.connection.factors import chains_of
from trio_ssh.server.accounts import Account
from trio_ssh.server.shadow import ShadowEntry, ShadowPasswords

only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can check passwords")
GROUP = grp.getgrgid(os.getgid()).gr_name


async def test_what_a_match_block_says_holds_for_its_login(tmp_path):
    banner = lines_file(tmp_path / "banner", "Welcome")
    text = f"""
        MaxSessions 9
        AcceptEnv LANG
        Match User {ME} Address 192.0.2.0/24 LocalPort 22
            Banner {banner}
            MaxSessions 1
            MaxAuthTries 2
            AcceptEnv A B
            ForceCommand echo "x  y"
            PermitTTY no
            SetEnv C=1 D=2
    """
    inside = await login(rules_of(text))
    assert (inside.banner, inside.sessions, inside.auth_failures, inside.accept_env) == ("Welcome\n", 1, 2, ("A", "B"))
    assert inside.permissions == Permissions(
        force_command='echo "x  y"', terminal=False, user_rc=False, environ=(("C", "1"), ("D", "2")), touch_required=False
    )
    outside = await login(rules_of(text), address="198.51.100.1")
    assert (outside.banner, outside.sessions, outside.auth_failures, outside.accept_env) == ("", 9, 6, ("LANG",))
    assert outside.permissions == Permissions(touch_required=False)
    assert (await login(rules_of(text), local="127.0.0.1 port 23")).sessions == 9


def test_a_login_without_addresses():
    found = subject_of(Login(username="x"), (), "", exists=False)
    assert found == Subject(user="x", exists=False)


async def test_groups():
    assert (await login(rules_of(f"Match Group {GROUP}\nMaxSessions 1"))).sessions == 1
    assert (await login(rules_of(f"Match Group *,!{GROUP}\nMaxSessions 1"))).sessions == 10
    assert (await login(rules_of("Match Invalid-User\nMaxSessions 1"), "no-such-account")).sessions == 1


async def test_a_banner_that_cannot_be_read(tmp_path, caplog):
    assert (await login(rules_of(f"Banner {tmp_path}/none"))).banner == ""
    assert "Banner" in caplog.text


ADA = Account("ada", os.getuid(), os.getgid(), "/home/ada", "/bin/sh", ())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", ""),
        ("DenyUsers bob", ""),
        ("DenyUsers a*", "listed in DenyUsers"),
        ("DenyUsers a*\nAllowUsers ada", "listed in DenyUsers"),
        ("DenyUsers ada@192.0.2.0/24", "listed in DenyUsers"),
        ("DenyUsers ada@*.example", "listed in DenyUsers"),
        ("AllowUsers bob", "not listed in AllowUsers"),
        ("AllowUsers bob ada@198.51.100.1", "not listed in AllowUsers"),
        ("AllowUsers bob ada@192.0.2.7", ""),
        ("DenyGroups wheel", "a group is listed in DenyGroups"),
        ("AllowGroups x users", ""),
        ("AllowGroups x", "no group is listed in AllowGroups"),
        ("AllowUsers ada\nAllowGroups x", "no group is listed in AllowGroups"),
    ],
)
def test_lists_of_users_and_groups(text, why):
    settings = SSHDConfig.from_text(text).settings
    assert closed_because(ADA, ("users", "wheel"), settings, "a.example", "192.0.2.7", NOW) == why


def test_accounts_without_a_shell():
    settings = SSHDConfig().settings
    for shell in ("/nowhere/sh", "/etc/passwd", "/"):
        assert "cannot be executed" in closed_because(attrs.evolve(ADA, shell=shell), (), settings, "", "", NOW)
    if os.getuid() != 0:
        assert closed_because(attrs.evolve(ADA, uid=12345), (), settings, "", "", NOW) == "this server does not run as root"


async def test_who_is_kept_out_is_one_who_does_not_exist(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    keys = lines_file(tmp_path / "keys", line_of(KEY))
    text = f"AuthorizedKeysFile {keys}"
    assert (await verdict(text)).accepted
    caplog.clear()
    assert await verdict(f"{text}\nDenyUsers {ME}") == UNKNOWN_USER
    assert caplog.messages == [f"User {ME} from 192.0.2.7 not allowed because listed in DenyUsers"]
    caplog.clear()
    assert await verdict(text, username="nobody\n\x1b[2J") == UNKNOWN_USER
    assert caplog.messages == ["Invalid user nobody\\n\\x1b[2J from 192.0.2.7 port 4711"]


# --- ways in -----------------------------------------------------------------------------------------------------------------------------


@only_root
@pytest.mark.parametrize(
    ("text", "ways"),
    [
        ("", [["publickey"], ["password"]]),
        ("PasswordAuthentication no", [["publickey"]]),
        ("PubkeyAuthentication no", [["password"]]),
        ("AuthenticationMethods any", [["publickey"], ["password"]]),
        ("AuthenticationMethods publickey,password", [["publickey", "password"]]),
        ("AuthenticationMethods publickey,publickey password", [["publickey", "publickey"], ["password"]]),
        ("AuthenticationMethods publickey,password publickey\nPasswordAuthentication no", [["publickey"]]),
        ("AuthenticationMethods keyboard-interactive publickey", [["publickey"]]),  # nobody to ask, without PAM
        ("UsePAM yes", [["publickey"], ["password"], ["keyboard-interactive"]]),
        ("UsePAM yes\nAuthenticationMethods publickey,keyboard-interactive:pam", [["publickey", "keyboard-interactive"]]),
        ("UsePAM yes\nKbdInteractiveAuthentication no", [["publickey"], ["password"]]),
    ],
)
async def test_ways_in(text, ways):
    for username in (ME, "no-such-account"):
        assert methods_of(await login(rules_of(text), username)) == ways


async def test_one_policy_stands_in_all_chains():
    """So that what is passed counts in each of them (connection/factors.py)."""
    rules = await login(rules_of("AuthenticationMethods publickey,publickey publickey"))
    policies = [policy for chain in chains_of(rules.authenticate) for policy in chain]
    assert len(policies) == 3
    assert len({id(policy) for policy in policies}) == 1


async def test_no_way_in(caplog):
    rules = await login(rules_of("AuthenticationMethods publickey\nPubkeyAuthentication no\nPasswordAuthentication no"))
    assert rules.authenticate.methods == ()
    assert await rules.authenticate(attempt()) == UNKNOWN_USER
    assert "nobody is let in" in caplog.text


# --- passwords ---------------------------------------------------------------------------------------------------------------------------


def password(text: str, username: str = ME) -> AuthAttempt:
    return AuthAttempt(username=username, method="password", password=text, peer="192.0.2.7 port 4711", address="192.0.2.7")


@attrs.define
class Hashes:
    """Counts what is hashed; the hash of a password is the password behind ``$``."""

    count: int = 0

    def entry_of(self, username: str) -> ShadowEntry | None:
        return {ME: ShadowEntry("$right"), "daemon": ShadowEntry("$right")}.get(username)

    def hash(self, password: str, setting: str) -> str:
        self.count += 1
        return f"${password}"


async def ask_password(text: str, username: str = ME, secret: str = "right", hashes: Hashes | None = None):
    hashes = hashes or Hashes()
    rules = rules_of(text, shadow=ShadowPasswords(entry_of=hashes.entry_of, hash_password=hashes.hash))
    policies = [chain[0] for chain in chains_of((await login(rules, username)).authenticate)]
    (policy,) = [policy for policy in policies if policy.methods == ("password",)]
    return await policy(password(secret, username))


@only_root
@pytest.mark.parametrize(
    ("text", "username", "secret", "accepted"),
    [
        ("", ME, "right", True),
        ("", ME, "wrong", False),
        ("", "daemon", "right", True),
        ("", "no-such-account", "right", False),
        ("", ME, "", False),
        ("DenyUsers daemon", "daemon", "right", False),
        ("AllowUsers root", "daemon", "right", False),
    ],
)
async def test_b09_every_password_costs_one_hash(text, username, secret, accepted):
    hashes = Hashes()
    answer = await ask_password(text, username, secret, hashes)
    assert answer.accepted is accepted
    assert hashes.count == (1 if secret else 0)
    if username not in (ME, "daemon") or text:
        assert answer == UNKNOWN_USER


@only_root
@pytest.mark.parametrize("permitted", [False, True])
async def test_b23_empty_passwords(permitted):
    text = "PermitEmptyPasswords yes" if permitted else ""
    shadow = ShadowPasswords(entry_of=lambda _: ShadowEntry(""), hash_password=lambda *_: "")
    rules = await login(rules_of(text, shadow=shadow))
    assert rules.empty_passwords is permitted
    (policy,) = [chain[0] for chain in chains_of(rules.authenticate) if chain[0].methods == ("password",)]
    assert (await policy(password(""))).accepted is permitted
    assert not (await policy(password("any"))).accepted


@only_root
@pytest.mark.parametrize("rule", ["prohibit-password", "forced-commands-only", "no"])
async def test_roots_password_is_not_even_looked_at(rule):
    hashes = Hashes()
    shadow = ShadowPasswords(entry_of=hashes.entry_of, hash_password=hashes.hash)
    rules = AccountRules(SSHDConfig.from_text(f"PermitRootLogin {rule}"), shadow=shadow)
    policies = [chain[0] for chain in chains_of((await login(rules, "root")).authenticate)]
    (policy,) = [policy for policy in policies if policy.methods == ("password",)]
    for secret in ("right", "wrong"):
        assert not (await policy(password(secret, "root"))).accepted
    assert hashes.count == 2


# --- settings that cannot be kept ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("AuthorizedKeysCommand /bin/keys", "file line 1: AuthorizedKeysCommand: it needs AuthorizedKeysCommandUser"),
        ("AuthorizedPrincipalsCommand /bin/keys", "file line 1: AuthorizedPrincipalsCommand: it needs AuthorizedPrincipalsCommandUser"),
        ("KbdInteractiveAuthentication yes", "file line 1: KbdInteractiveAuthentication: it cannot be switched on: "),
        ("RevokedKeys /nowhere/list", "file line 1: RevokedKeys: /nowhere/list: "),
        ("Match all\nTrustedUserCAKeys /nowhere/list", "file line 2: TrustedUserCAKeys: /nowhere/list: "),
        (
            "PubkeyAuthentication no\nPasswordAuthentication no\nKbdInteractiveAuthentication no",
            "file line 1: PubkeyAuthentication: without it nobody could log in",
        ),
    ],
)
def test_settings_that_cannot_be_kept(text, error):
    with pytest.raises(ConfigError) as caught:
        check_account_settings(SSHDConfig.from_text(text, "file"))
    assert str(caught.value).startswith(error)


def test_a_method_that_only_a_block_switches_on():
    methods = "PubkeyAuthentication no\nPasswordAuthentication no\nKbdInteractiveAuthentication no"
    check_account_settings(SSHDConfig.from_text(f"{methods}\nMatch User ada\nPubkeyAuthentication yes"))


def test_a_krl_is_refused_by_its_name(tmp_path):
    path = tmp_path / "krl"
    path.write_bytes(b"SSHKRL\n\0" + bytes(40))
    with pytest.raises(ConfigError, match=f"RevokedKeys: {path}: it is a KRL"):
        check_account_settings(SSHDConfig.from_text(f"RevokedKeys {path}"))
