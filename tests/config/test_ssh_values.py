"""Values that only a client's configuration has: what they mean, and how a wrong one is told."""

from __future__ import annotations

import pytest

from trio_ssh.config import SSHConfig, ssh_config
from trio_ssh.config.ssh_values import (
    AddKeys,
    AddKeysMode,
    AddressFamily,
    Canonicalize,
    CNAMERule,
    PublicKeyUse,
    ServiceClass,
    SessionType,
    TerminalRequest,
    UpdateHostKeys,
    Variable,
    shown_service_class,
)
from trio_ssh.errors import ConfigError


@pytest.mark.parametrize(
    ("line", "keyword", "value"),
    [
        ("AddKeysToAgent yes", ssh_config.ADD_KEYS_TO_AGENT, AddKeys(AddKeysMode.YES)),
        ("AddKeysToAgent 1h30m", ssh_config.ADD_KEYS_TO_AGENT, AddKeys(AddKeysMode.YES, 5400)),
        ("AddKeysToAgent Confirm 5m", ssh_config.ADD_KEYS_TO_AGENT, AddKeys(AddKeysMode.CONFIRM, 300)),
        ("AddKeysToAgent false", ssh_config.ADD_KEYS_TO_AGENT, AddKeys()),
        ("AddressFamily INET6", ssh_config.ADDRESS_FAMILY, AddressFamily.INET6),
        ("CanonicalizeHostname true", ssh_config.CANONICALIZE_HOSTNAME, Canonicalize.YES),
        ("CanonicalDomains a.example b_c.example", ssh_config.CANONICAL_DOMAINS, ("a.example", "b_c.example")),
        ("CanonicalDomains none", ssh_config.CANONICAL_DOMAINS, ()),
        (
            "CanonicalizePermittedCNAMEs *.A:*.b,c d:e",
            ssh_config.CANONICALIZE_PERMITTED_CNAMES,
            (CNAMERule(("*.a",), ("*.b", "c")), CNAMERule(("d",), ("e",))),
        ),
        ("ConnectTimeout none", ssh_config.CONNECT_TIMEOUT, None),
        ("ConnectTimeout 1m", ssh_config.CONNECT_TIMEOUT, 60),
        ("EscapeChar none", ssh_config.ESCAPE_CHAR, None),
        ("EscapeChar ^]", ssh_config.ESCAPE_CHAR, "\x1d"),
        ("EscapeChar ^b", ssh_config.ESCAPE_CHAR, "\x02"),
        ("EscapeChar ^", ssh_config.ESCAPE_CHAR, "^"),
        ("IPQoS af21", ssh_config.IP_QOS, ServiceClass(0x48, 0x48)),
        ("IPQoS EF none", ssh_config.IP_QOS, ServiceClass(0xB8, None)),
        ("IPQoS 0x20 255", ssh_config.IP_QOS, ServiceClass(0x20, 255)),
        ("KbdInteractiveDevices pam,bsdauth", ssh_config.KBD_INTERACTIVE_DEVICES, ("pam", "bsdauth")),
        ("PubkeyAuthentication host-bound", ssh_config.PUBKEY_AUTHENTICATION, PublicKeyUse.HOST_BOUND),
        ('RemoteCommand echo "a  b" # c', ssh_config.REMOTE_COMMAND, 'echo "a  b" # c'),
        ("RemoteCommand=none", ssh_config.REMOTE_COMMAND, None),
        ("RequestTTY true", ssh_config.REQUEST_TTY, TerminalRequest.YES),
        ("SessionType Subsystem", ssh_config.SESSION_TYPE, SessionType.SUBSYSTEM),
        ('SetEnv A=1 "B=x y" A=2 C=', ssh_config.SET_ENV, (Variable("A", "1"), Variable("B", "x y"), Variable("C", ""))),
        ("SyslogFacility local7", ssh_config.SYSLOG_FACILITY, "LOCAL7"),
        ("UpdateHostKeys ask", ssh_config.UPDATE_HOST_KEYS, UpdateHostKeys.ASK),
        ("FingerprintHash MD5", ssh_config.FINGERPRINT_HASH, "md5"),
        ("RevokedHostKeys none", ssh_config.REVOKED_HOST_KEYS, None),
    ],
)
def test_values(line, keyword, value):
    assert SSHConfig.from_text(line).for_host("x")[keyword] == value


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("AddKeysToAgent maybe", "'maybe' is not yes, no, ask or confirm"),
        ("AddKeysToAgent yes 1h", "it takes one value, not 2"),
        ("AddKeysToAgent 1x", "'1x' is not a time"),
        ("AddressFamily ipv4", "'ipv4' is not any, inet or inet6"),
        ("CanonicalDomains a..b", "'a..b' is not a domain"),
        ("CanonicalDomains a/b", "'a/b' is not a domain"),
        ("CanonicalizeMaxDots -1", "'-1' is not a number from 0 to 2147483647"),
        ("CanonicalizePermittedCNAMEs a", "'a' is not of the form sources:targets"),
        ("ConnectionAttempts 0", "'0' is not a number from 1"),
        ("EscapeChar ^?", "'^?' is not a character, ^ and a letter, or none"),
        ("EscapeChar ab", "'ab' is not a character"),
        ("IPQoS 256", "'256' is not a class such as af21"),
        ("IPQoS a b c", "it takes one or two values, not 3"),
        ("SendEnv A=1", "'A=1' is not the name of an environment variable"),
        ("SendEnv -", "'-' is not the name of an environment variable"),
        ("SetEnv A", "'A' is not of the form NAME=value"),
        ("SetEnv A=1 =1", "'=1' is not of the form NAME=value"),
        ("RequiredRSASize 20000", "'20000' is not a number from 0 to 16384"),
        ("UpdateHostKeys always", "'always' is not yes, no or ask"),
    ],
)
def test_faults(line, error):
    with pytest.raises(ConfigError) as caught:
        SSHConfig.from_text(line, "file")
    assert str(caught.value).startswith(f"file line 1: {line.split()[0]}: {error}")


@pytest.mark.parametrize(("number", "text"), [(None, "none"), (0x10, "lowdelay"), (0xB8, "ef"), (0x48, "af21"), (7, "0x07")])
def test_service_classes_as_they_are_shown(number, text):
    assert shown_service_class(number) == text


def settings_of(text: str):
    return SSHConfig.from_text(text).for_host("x")


def test_variables_to_send_can_be_taken_away_again():
    settings = settings_of("SendEnv LC_* LANG FOO\nSendEnv -L* BAR\nSendEnv LANG")
    assert ssh_config.sent_names(settings) == ("FOO", "BAR", "LANG")
    assert ssh_config.environment(settings, {"FOO": "1", "LANG": "C", "LC_ALL": "x"}) == {"FOO": "1", "LANG": "C"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", UpdateHostKeys.YES),
        ("UserKnownHostsFile ~/.ssh/known_hosts", UpdateHostKeys.YES),
        ("UserKnownHostsFile ~/mine", UpdateHostKeys.NO),
        ("UserKnownHostsFile ~/mine\nUpdateHostKeys ask", UpdateHostKeys.ASK),
        ("UpdateHostKeys no", UpdateHostKeys.NO),
    ],
)
def test_whether_host_keys_are_learnt(text, value):
    assert ssh_config.updates_host_keys(settings_of(text)) is value
