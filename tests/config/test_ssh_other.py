"""Keywords that are not honoured: which are an error, which a warning, and what IgnoreUnknown does."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.support import require_program
from trio_ssh.config import Query, SSHConfig, resolve, ssh_config
from trio_ssh.config.ssh_dump import shown_names
from trio_ssh.config.ssh_other import OTHERS, Kind, ignored_text
from trio_ssh.errors import ConfigError


def read(text: str, host: str = "box", *, system: bool = False, tmp_path=None):
    if not system:
        return SSHConfig.from_text(text, "file").for_host(host)
    path = tmp_path / "system"
    path.write_text(text)
    return SSHConfig.from_file(path, system=True).for_host(host)


async def warning_of(text: str) -> str:
    return ignored_text((await resolve(SSHConfig.from_text(text, "file"), Query(host="box"))).ignored)


def test_an_unsupported_option_is_an_error_where_it_counts():
    text = "Host other\nProxyJump bastion\nForwardAgent yes\nHost box\nPort 7"
    assert read(text)[ssh_config.PORT] == 7
    with pytest.raises(ConfigError, match=r"^file line 2: the option 'ProxyJump' is not supported$"):
        read(text, "other")


def test_a_mistyped_option_is_an_error_wherever_it_stands(tmp_path):
    with pytest.raises(ConfigError, match=r"^file line 2: the option 'Prot' is not supported \(did you mean Port\?\)$"):
        read("Host other\nProt 22")
    (tmp_path / "part").write_text("Host x\nForwrdAgent no")
    (tmp_path / "config").write_text(f"Host other\nInclude {tmp_path}/part")
    with pytest.raises(ConfigError, match=r"part line 2: .*did you mean ForwardAgent"):
        SSHConfig.from_file(tmp_path / "config").for_host("box")


@pytest.mark.parametrize("name", [other.name for other in OTHERS.values() if other.kind is Kind.ROUTE])
def test_what_leads_elsewhere_is_never_left_out(name, tmp_path):
    line = f"{name} {'yes' if OTHERS[name.lower()].off != {'none'} else 'x'}"
    for text in (line, f"IgnoreUnknown *\n{line}"):
        with pytest.raises(ConfigError, match=f"the option '{name}' is not supported"):
            read(text)
        with pytest.raises(ConfigError, match=f"the option '{name}' is not supported"):
            read(text, system=True, tmp_path=tmp_path)


@pytest.mark.parametrize("name", [other.name for other in OTHERS.values() if other.kind is Kind.FEATURE])
async def test_a_missing_feature(name, tmp_path):
    line = f"{name} x"
    with pytest.raises(ConfigError, match=f"the option '{name}' is not supported; to go on without it, set IgnoreUnknown={name} above$"):
        read(line)
    assert not list(read(line, system=True, tmp_path=tmp_path))  # the system's file is for all programs
    assert [setting.name for setting in read(f"IgnoreUnknown {name.lower()},y\n{line}")] == ["IgnoreUnknown"]
    with pytest.raises(ConfigError, match="is not supported"):
        read(f"{line}\nIgnoreUnknown *")  # it must stand above


@pytest.mark.parametrize("name", [other.name for other in OTHERS.values() if other.kind is Kind.TUNING])
async def test_what_has_no_effect_is_told_in_one_line(name):
    assert await warning_of(f"{name} x\nXAuthLocation /x") == f"without effect here: {name} (file line 1), XAuthLocation (file line 2)"


@pytest.mark.parametrize(("name", "value"), [(other.name, off) for other in OTHERS.values() for off in sorted(other.off)])
async def test_switching_off_what_is_not_here_is_fine(name, value):
    assert await warning_of(f"{name} {value}") == ""
    assert await warning_of(f"{name} {value.upper()}") == ""


def test_the_system_s_lists_may_name_what_we_have_not(tmp_path):
    text = "Ciphers arcfour,aes256-ctr,blowfish*\nMACs ^umac-128-etm@openssh.com,hmac-sha1"
    settings = read(text, system=True, tmp_path=tmp_path)
    assert settings[ssh_config.CIPHERS] == ("aes256-ctr",)
    assert settings[ssh_config.MACS][0] == "hmac-sha1"
    with pytest.raises(ConfigError, match=r"system line 1: Ciphers: 'arcfour' leaves no cipher"):
        read("Ciphers arcfour", system=True, tmp_path=tmp_path)
    with pytest.raises(ConfigError, match="there is no cipher 'arcfour'"):
        read(text)


def test_forwardings_may_be_cleared():
    text = "LocalForward 8080 localhost:80\nDynamicForward 1080\nRemoteForward 9 x:9\n"
    with pytest.raises(ConfigError, match=r"^file line 1: the option 'LocalForward' is not supported"):
        read(text)
    assert read(text + "ClearAllForwardings yes")[ssh_config.CLEAR_ALL_FORWARDINGS]
    with pytest.raises(ConfigError, match="ForwardAgent"):
        read(text + "ForwardAgent yes\nClearAllForwardings yes")


def test_unknown_options_that_may_be_ignored():
    text = "IgnoreUnknown Use*,!UseThis\nUseKeychain yes\n"
    assert ssh_config.IGNORE_UNKNOWN in read(text)
    with pytest.raises(ConfigError, match="'UseThis' is not supported"):
        read(text + "UseThis x")
    with pytest.raises(ConfigError, match="'UseKeychain' is not supported"):
        read("UseKeychain yes\n" + text)
    with pytest.raises(ConfigError, match="'UseKeychain' is not supported"):
        read("Host other\nIgnoreUnknown *\nHost *\nUseKeychain yes")  # only where it counts
    options = SSHConfig.from_options(["IgnoreUnknown=UseKeychain"])
    options.followed_by(SSHConfig.from_text("UseKeychain yes")).for_host("x")  # no error


def test_an_option_needs_a_value():
    with pytest.raises(ConfigError, match=r"^file line 1: ProxyJump: its value is missing"):
        read("ProxyJump")


@pytest.mark.parametrize(
    ("old", "keyword"), [("ChallengeResponseAuthentication", "KbdInteractiveAuthentication"), ("KeepAlive", "TCPKeepAlive")]
)
def test_old_names(old, keyword):
    [setting] = read(f"{old} no")
    assert (setting.name, setting.value) == (keyword, False)


def test_every_option_that_ssh_shows_is_known():
    """All that `ssh -G` prints, as one program's list of what there is."""
    output = subprocess.run(
        [require_program("ssh"), "-F", "none", "-G", "x"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    names = {line.partition(" ")[0].lower() for line in output.splitlines()} - {"host"}
    assert names <= set(ssh_config.TABLE) | set(OTHERS)
    assert not set(ssh_config.TABLE) & set(OTHERS)


def test_every_option_of_the_manual_is_known():
    """The names of ssh_config(5) of OpenSSH 10, which a machine's own manual may not have yet."""
    names = re.findall(r"\w+", MANUAL)
    unknown = [name for name in names if name.lower() not in {*ssh_config.TABLE, *OTHERS, "host", "match", "include"}]
    assert unknown == []


def test_every_honoured_option_is_shown():
    assert {keyword.name.lower() for keyword in ssh_config.TABLE.values()} == {name.lower() for name in shown_names()} - {"host"}


MANUAL = """
Host Match AddKeysToAgent AddressFamily BatchMode BindAddress BindInterface CanonicalDomains CanonicalizeFallbackLocal
CanonicalizeHostname CanonicalizeMaxDots CanonicalizePermittedCNAMEs CASignatureAlgorithms CertificateFile ChannelTimeout CheckHostIP
Ciphers ClearAllForwardings Compression ConnectionAttempts ConnectTimeout ControlMaster ControlPath ControlPersist DynamicForward
EnableEscapeCommandline EnableSSHKeysign EscapeChar ExitOnForwardFailure FingerprintHash ForkAfterAuthentication ForwardAgent ForwardX11
ForwardX11Timeout ForwardX11Trusted GatewayPorts GlobalKnownHostsFile GSSAPIAuthentication GSSAPIDelegateCredentials HashKnownHosts
HostbasedAcceptedAlgorithms HostbasedAuthentication HostKeyAlgorithms HostKeyAlias Hostname IdentitiesOnly IdentityAgent IdentityFile
IgnoreUnknown Include IPQoS KbdInteractiveAuthentication KbdInteractiveDevices KexAlgorithms KnownHostsCommand LocalCommand LocalForward
LogLevel LogVerbose MACs NoHostAuthenticationForLocalhost NumberOfPasswordPrompts ObscureKeystrokeTiming PasswordAuthentication
PermitLocalCommand PermitRemoteOpen PKCS11Provider Port PreferredAuthentications ProxyCommand ProxyJump ProxyUseFdpass
PubkeyAcceptedAlgorithms PubkeyAuthentication RefuseConnection RekeyLimit RemoteCommand RemoteForward RequestTTY RequiredRSASize
RevokedHostKeys SecurityKeyProvider SendEnv ServerAliveCountMax ServerAliveInterval SessionType SetEnv StdinNull StreamLocalBindMask
StreamLocalBindUnlink StrictHostKeyChecking SyslogFacility Tag TCPKeepAlive Tunnel TunnelDevice UpdateHostKeys User UserKnownHostsFile
VerifyHostKeyDNS VersionAddendum VisualHostKey WarnWeakCrypto XAuthLocation
"""
