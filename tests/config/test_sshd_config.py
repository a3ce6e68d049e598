"""sshd_config: every keyword's value, which Match block counts and what it hides, what is included, and how each fault is told."""

from __future__ import annotations

import os

import pytest

from trio_ssh.config import SSHDConfig, server_limits, sshd_config
from trio_ssh.config.ssh_values import AddressFamily
from trio_ssh.config.sshd_match import Subject
from trio_ssh.config.sshd_words import KeyDemands, RootLogin
from trio_ssh.errors import ConfigError

EVERYTHING = """
PermitRootLogin forced-commands-only
AuthenticationMethods publickey,password publickey,keyboard-interactive:pam
PubkeyAuthOptions touch-required verify-required
AuthorizedKeysCommand /usr/bin/keys "%u of x" %h   # not a comment
AuthorizedKeysCommandUser nobody
AuthorizedPrincipalsFile none
TrustedUserCAKeys /etc/ssh/ca
RevokedKeys none
AllowUsers ada bob@192.0.2.0/24
AllowUsers *@*.example
DenyGroups wheel
ForceCommand /bin/echo "a  b"
SetEnv A=1 "B=x y" A=2
SetEnv C=3
PermitUserEnvironment LANG,LC_*
AddressFamily inet6
Banner /etc/issue
ClientAliveInterval 1m
ClientAliveCountMax 2
ChallengeResponseAuthentication no
PubkeyAcceptedKeyTypes ssh-ed25519
CASignatureAlgorithms ssh-ed25519
RequiredRSASize 3072
FingerprintHash md5
SyslogFacility local3
"""


def test_everything():
    settings = SSHDConfig.from_text(EVERYTHING).settings
    assert settings[sshd_config.PERMIT_ROOT_LOGIN] is RootLogin.FORCED_COMMANDS_ONLY
    assert settings[sshd_config.AUTHENTICATION_METHODS] == (("publickey", "password"), ("publickey", "keyboard-interactive:pam"))
    assert settings[sshd_config.PUBKEY_AUTH_OPTIONS] == KeyDemands(touch=True, verify=True)
    assert settings[sshd_config.AUTHORIZED_KEYS_COMMAND] == '/usr/bin/keys "%u of x" %h   # not a comment'
    assert settings[sshd_config.AUTHORIZED_PRINCIPALS_FILE] is None
    assert settings[sshd_config.TRUSTED_USER_CA_KEYS] == "/etc/ssh/ca"
    assert settings[sshd_config.REVOKED_KEYS] is None
    assert [pattern.written for pattern in settings[sshd_config.ALLOW_USERS]] == ["ada", "bob@192.0.2.0/24", "*@*.example"]
    assert [pattern.written for pattern in settings[sshd_config.DENY_GROUPS]] == ["wheel"]
    assert settings[sshd_config.FORCE_COMMAND] == '/bin/echo "a  b"'
    assert settings[sshd_config.SET_ENV] == (("A", "1"), ("B", "x y"))
    assert settings[sshd_config.PERMIT_USER_ENVIRONMENT].matches("LC_ALL")
    assert not settings[sshd_config.PERMIT_USER_ENVIRONMENT].matches("PATH")
    assert settings[sshd_config.ADDRESS_FAMILY] is AddressFamily.INET6
    assert settings[sshd_config.KBD_INTERACTIVE_AUTHENTICATION] is False
    assert settings[sshd_config.PUBKEY_ACCEPTED_ALGORITHMS] == ("ssh-ed25519",)
    assert settings[sshd_config.CA_SIGNATURE_ALGORITHMS] == ("ssh-ed25519",)
    assert settings[sshd_config.REQUIRED_RSA_SIZE] == 3072
    assert (settings[sshd_config.FINGERPRINT_HASH], settings[sshd_config.SYSLOG_FACILITY]) == ("MD5", "LOCAL3")
    limits = server_limits(settings)
    assert (limits.keepalive_seconds, limits.keepalive_misses) == (60, 2)
    assert server_limits(SSHDConfig.from_text("ClientAliveInterval 9\nClientAliveCountMax 0").settings).keepalive_seconds is None


def test_a_file_that_is_not_absolute_is_where_we_were_started():
    settings = SSHDConfig.from_text("HostKey key\nBanner none\nPidFile pid").settings
    assert settings[sshd_config.HOST_KEY] == (os.path.join(os.getcwd(), "key"),)
    assert settings[sshd_config.PID_FILE] == os.path.join(os.getcwd(), "pid")
    assert settings[sshd_config.BANNER] is None


BLOCKS = """
MaxAuthTries 6
AcceptEnv LANG
PermitTTY yes
Banner /for/all
Match User ada
    MaxAuthTries 1
    AcceptEnv A
Match Group staff,!guests Address 192.0.2.0/24
    AcceptEnv B
    MaxAuthTries 2
    PermitTTY no
Match all
    PermitTTY yes
    ForceCommand true
"""


def in_force(subject: Subject) -> tuple[object, ...]:
    settings = SSHDConfig.from_text(BLOCKS).for_subject(subject)
    return settings[sshd_config.MAX_AUTH_TRIES], settings[sshd_config.ACCEPT_ENV], settings[sshd_config.PERMIT_TTY]


def test_blocks_stand_above_the_rest_and_the_first_one_counts():
    assert in_force(Subject(user="bob")) == (6, ("LANG",), True)
    assert in_force(Subject(user="ada")) == (1, ("A",), True)
    assert in_force(Subject(user="ada", groups=("staff",), address="192.0.2.9")) == (1, ("A", "B"), False)
    assert in_force(Subject(user="bob", groups=("staff",), address="192.0.2.9")) == (2, ("B",), False)
    assert in_force(Subject(user="bob", groups=("staff", "guests"), address="192.0.2.9")) == (6, ("LANG",), True)
    assert in_force(Subject(user="bob", groups=("staff",), address="198.51.100.9")) == (6, ("LANG",), True)
    settings = SSHDConfig.from_text(BLOCKS)
    assert settings.settings[sshd_config.FORCE_COMMAND] is None
    assert settings.for_subject(Subject())[sshd_config.FORCE_COMMAND] == "true"
    assert settings.for_subject(Subject())[sshd_config.BANNER] == "/for/all"


def test_blocks_stand_above_the_command_line_too():
    config = SSHDConfig.from_options(["MaxAuthTries=9", "PermitTTY=no"]).followed_by(SSHDConfig.from_text(BLOCKS))
    assert config.settings[sshd_config.MAX_AUTH_TRIES] == 9
    assert config.for_subject(Subject(user="ada"))[sshd_config.MAX_AUTH_TRIES] == 1


@pytest.mark.parametrize(
    ("criteria", "subject", "holds"),
    [
        ("User a*,!ada", Subject(user="adam"), True),
        ("User a*,!ada", Subject(user="ada"), False),
        ("User !ada", Subject(user="bob"), False),
        ("User Ada", Subject(user="ada"), False),
        ("User=ada", Subject(user="ada"), True),
        ("User ada", Subject(), False),
        ("Group wheel", Subject(user="ada"), False),
        ("Group wh*", Subject(user="ada", groups=("users", "wheel")), True),
        ("Host *.Example", Subject(host="Build.EXAMPLE"), True),
        ("Host *.example", Subject(host="192.0.2.1"), False),
        ("Address 192.0.2.0/24,!192.0.2.7", Subject(address="192.0.2.8"), True),
        ("Address 192.0.2.0/24,!192.0.2.7", Subject(address="192.0.2.7"), False),
        ("Address 192.0.2.*", Subject(address="::ffff:192.0.2.7"), True),
        ("Address 2001:db8::/32", Subject(address="2001:db8::1%eth0"), True),
        ("Address 0.0.0.0/0", Subject(), False),
        ("LocalAddress 127.0.0.1", Subject(local_address="127.0.0.1"), True),
        ("LocalPort 2222", Subject(local_port=2222), True),
        ("LocalPort 2222", Subject(local_port=22), False),
        ("LocalPort 2222", Subject(), False),
        ("RDomain blue", Subject(rdomain="blue"), True),
        ("RDomain *", Subject(), False),
        ("Invalid-User", Subject(user="x", exists=False), True),
        ("Invalid-User", Subject(user="x"), False),
        ("User ada LocalPort 22", Subject(user="ada", local_port=22), True),
        ("User ada LocalPort 22", Subject(user="ada", local_port=23), False),
        ("all", Subject(), True),
    ],
)
def test_criteria(criteria, subject, holds):
    config = SSHDConfig.from_text(f"Match {criteria}\nMaxSessions 1")
    assert (config.for_subject(subject)[sshd_config.MAX_SESSIONS] == 1) is holds


def test_included_files(tmp_path):
    folder = tmp_path / "ssh"
    folder.mkdir()
    (folder / "b.conf").write_text("MaxSessions 2\nMatch User ada\nMaxAuthTries 1\n")
    (folder / "a.conf").write_text("MaxSessions 1\n")
    (folder / "inner.conf").write_text("PermitTTY no\nMatch LocalPort 9\nPermitUserRC no\n")
    main = tmp_path / "sshd_config"
    main.write_text("Include *.conf nothing*\nMaxSessions 3\nMaxAuthTries 4\nMatch User bob\nInclude inner.conf\nMaxAuthTries 2\n")
    (folder / "inner.conf").rename(folder / "inner.more")
    main.write_text(main.read_text().replace("inner.conf", "inner.more"))
    config = SSHDConfig.from_file(main, include_folder=str(folder))
    assert config.settings[sshd_config.MAX_SESSIONS] == 1
    assert config.settings[sshd_config.MAX_AUTH_TRIES] == 4  # the block in b.conf ends with that file
    assert config.for_subject(Subject(user="ada"))[sshd_config.MAX_AUTH_TRIES] == 1
    bob = config.for_subject(Subject(user="bob", local_port=8))
    assert (bob[sshd_config.PERMIT_TTY], bob[sshd_config.PERMIT_USER_RC], bob[sshd_config.MAX_AUTH_TRIES]) == (False, True, 2)
    assert config.for_subject(Subject(user="bob", local_port=9))[sshd_config.PERMIT_USER_RC] is False
    assert config.for_subject(Subject(user="eve", local_port=9))[sshd_config.PERMIT_USER_RC] is True
    assert [setting.place.line for setting in config.all_settings() if setting.name == "MaxSessions"] == [1, 1, 2]


def test_e14_included_files_have_bounds(tmp_path):
    main = tmp_path / "sshd_config"
    for text, fault in ((f"Include {main}", "circle"), ("Include deep0", "deep"), ("Include fifo", "not a regular file")):
        for number in range(20):
            (tmp_path / f"deep{number}").write_text(f"Include deep{number + 1}\n")
        if not (tmp_path / "fifo").exists():
            os.mkfifo(tmp_path / "fifo")
        main.write_text(text)
        with pytest.raises(ConfigError, match=fault):
            SSHDConfig.from_file(main, include_folder=str(tmp_path))
    main.write_bytes(b"#" * (16 << 20))
    with pytest.raises(ConfigError, match="larger than"):
        SSHDConfig.from_file(main)
    with pytest.raises(ConfigError, match="Include"):
        SSHDConfig.from_text("Include /etc/ssh/sshd_config")  # a text names no place to read more from


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("PermitRootLogni no", "the option 'PermitRootLogni' is not supported (did you mean PermitRootLogin?)"),
        ("Frobnicate yes", "the option 'Frobnicate' is not supported"),
        ("PermitRootLogin maybe", "PermitRootLogin: 'maybe' is not yes, prohibit-password, forced-commands-only or no"),
        ("AuthenticationMethods any publickey", "AuthenticationMethods: 'any' must stand alone"),
        ("AuthenticationMethods hostbased", "AuthenticationMethods: 'hostbased' is not a method that there is here"),
        ("AuthenticationMethods password:pam", "AuthenticationMethods: 'password:pam' is not a method"),
        ("AuthenticationMethods keyboard-interactive:skey", "AuthenticationMethods: 'keyboard-interactive:skey': the only device is pam"),
        ("PubkeyAuthOptions touch", "PubkeyAuthOptions: 'touch' is not none"),
        ("AuthorizedKeysCommand keys", "AuthorizedKeysCommand: 'keys': the program must be named with its whole path"),
        ("AllowUsers @example", "AllowUsers: '@example' is not a user or a pattern"),
        ("AllowUsers a@192.0.2.1/24", "AllowUsers: '192.0.2.1/24' is not a host"),
        ("DenyUsers !ada", "DenyUsers: '!ada' is not a user or a pattern"),
        ("DenyGroups !x", "DenyGroups: '!x' is not a group"),
        ("SetEnv A", "SetEnv: 'A' is not a variable and its value"),
        ("SetEnv A-B=1", "SetEnv: 'A-B=1' is not a variable"),
        ("ForceCommand internal-sftp", "ForceCommand: internal-sftp is not supported"),
        ("SyslogFacility LOCAL8", "SyslogFacility: 'LOCAL8' is not one of DAEMON"),
        ("AddressFamily ipv4", "AddressFamily: 'ipv4' is not any, inet or inet6"),
        ("Match", "Match: its value is missing"),
        ("Match user", "Match: user needs a value"),
        ("Match all user x", "Match: all must stand alone"),
        ("Match exec true", "Match: there is no criterion 'exec'"),
        ("Match !user x", "Match: there is no criterion '!user'"),
        ("Match user a,,b", "Match: user 'a,,b': a pattern in it is empty"),
        ("Match address 192.0.2.0/33", "Match: '192.0.2.0/33' is not an address"),
        ("Match address 192.0.2.1/24", "Match: '192.0.2.1/24' is not an address, a network such as 192.0.2.0/24 or a pattern: bits"),
        ("Match localport 0", "Match: '0' is not a number from 1 to 65535"),
        ("Match all\nPort 22", "Port: it cannot stand in a Match block"),
        ("Match all\nHostKey x", "HostKey: it cannot stand in a Match block"),
        ("Match all\nSubsystem a /b", "Subsystem: it cannot stand in a Match block"),
        ("Match all\nLogLevel QUIET", "LogLevel: it cannot stand in a Match block"),
        ("HostbasedAuthentication yes", "HostbasedAuthentication 'yes': this method of authentication is not supported"),
        ("GSSAPIAuthentication yes", "GSSAPIAuthentication 'yes': this method"),
        ("ChrootDirectory /srv", "ChrootDirectory '/srv': folders cannot be made the root of sessions yet"),
        ("ExposeAuthInfo yes", "ExposeAuthInfo 'yes': "),
        ("Protocol 2,1", "Protocol '2,1': there is only protocol 2 here"),
        ("HostbasedAuthentication", "HostbasedAuthentication: its value is missing"),
    ],
)
def test_faults(text, error):
    with pytest.raises(ConfigError) as caught:
        SSHDConfig.from_text("\n" + text, "file")
    line = 3 if "\n" in text else 2
    assert str(caught.value).startswith(f"file line {line}: {error}")


def test_what_has_no_effect_is_said():
    config = SSHDConfig.from_text(
        "X11Forwarding yes\nAllowTcpForwarding no\nPrintMotd no\nUsePrivilegeSeparation sandbox\nPermitOpen a:1 b:2\n"
        "HostbasedAuthentication no\n"
        "ChannelTimeout none\nDisableForwarding yes\nMatch User x\nAllowTcpForwarding yes\nChrootDirectory none\n",
        "file",
    )
    assert [warning.partition(":")[0] for warning in config.warnings] == [f"file line {n}" for n in (1, 4, 5, 10)]
    assert "X11Forwarding 'yes': nothing is forwarded by this server yet" in config.warnings[0]
    assert config.settings[sshd_config.PORT] == (22,)


@pytest.mark.parametrize(
    ("pattern", "user", "host", "address", "matches"),
    [
        ("ada", "ada", "h", "192.0.2.1", True),
        ("ad?", "ada", "h", "192.0.2.1", True),
        ("ada@192.0.2.0/24", "ada", "h", "192.0.2.1", True),
        ("ada@192.0.2.0/24", "ada", "h", "192.0.3.1", False),
        ("ada@192.0.2.0/24", "bob", "h", "192.0.2.1", False),
        ("*@*.example", "bob", "Build.example", "192.0.2.1", True),
        ("*@*.example,!build.example", "bob", "build.example", "192.0.2.1", False),
        ("*@!192.0.2.1,192.0.2.*", "bob", "192.0.2.1", "192.0.2.1", False),
        ("*@!192.0.2.1,192.0.2.*", "bob", "192.0.2.2", "192.0.2.2", True),
        ("b@c@host", "b@c", "host", "", True),
        ("bob@host", "bob", "host", "", True),
    ],
)
def test_users_and_where_from(pattern, user, host, address, matches):
    found = SSHDConfig.from_text(f"AllowUsers {pattern}").settings[sshd_config.ALLOW_USERS]
    assert found[0].matches(user, host, address) is matches


def test_e05_patterns_are_matched_in_linear_time():
    config = SSHDConfig.from_text(f"Match User {'*a' * 5000}b\nMaxSessions 1")
    assert config.for_subject(Subject(user="a" * 10_000))[sshd_config.MAX_SESSIONS] == 10
