"""Host and Match: which sections of a client's configuration count, and what decides it."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from trio_ssh.config import Local, Place, Query, SSHConfig, resolve, ssh_config
from trio_ssh.config.match import Criterion, MatchLine, MatchNames
from trio_ssh.errors import ConfigError
from trio_ssh.wire.addresses import IPAddress

LOCAL = Local("me", 1000, "/home/me", "desk.example")
PLACE = Place("file", 3)


def query(host: str = "box.example", **fields) -> Query:
    return Query(host=host, local=LOCAL, **fields)


def port(text: str, host: str = "box.example", **fields) -> int:
    return SSHConfig.from_text(text, "file").for_host(host, query=query(host, **fields))[ssh_config.PORT]


def matches(condition: str, host: str = "box.example", before: str = "", **fields) -> bool:
    return port(f"{before}\nMatch {condition}\nPort 7\n", host, **fields) == 7


# -- Host ----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "holds"),
    [
        ("box.example", True),
        ("BOX.example", False),
        ("*.example !box*", False),
        ("!box.example *", False),
        ("!other", False),
        ("!other *", True),
        ("b?x.*", True),
        ("a b box.example", True),
        ('"box.example"', True),
    ],
)
def test_host(patterns, holds):
    assert (port(f"Host {patterns}\nPort 7") == 7) is holds


# -- Match ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("all", True),
        ("!all", False),
        ("host box.example", True),
        ("host BOX.*", True),
        ("HOST=box.example", True),
        ("host = box.example", True),
        ("host =box.example", True),
        ("host= box.example", True),
        ("!host box.example", False),
        ("!host other", True),
        ("host a,b,box*", True),
        ("host *,!box*", False),
        ("originalhost box.example host box.example", True),
        ("originalhost box.example host other", False),
        ("user me", True),
        ("user ME", False),
        ("localuser m?", True),
        ("localuser you", False),
        ("canonical", False),
        ("!canonical", True),
        ("canonical all", False),
        ("tagged x", False),
        ('tagged ""', True),
        ('command ""', True),
        ('!command "" all', None),
        ("version trio_ssh_9*", True),
        ("version OpenSSH*", False),
        ("sessiontype SHELL", True),
        ("sessiontype exec,subsystem", False),
        ("localnetwork 192.0.2.0/24", True),
        ("localnetwork 10.0.0.0/8,2001:db8::/32", True),
        ("localnetwork 10.0.0.0/8", False),
        ("localnetwork 192.0.2.0/24,!192.0.2.5", False),
    ],
)
def test_criteria(condition, holds):
    addresses: tuple[IPAddress, ...] = (ipaddress.ip_address("192.0.2.5"), ipaddress.ip_address("2001:db8::5"))
    if condition == "localnetwork 10.0.0.0/8,2001:db8::/32":
        addresses = addresses[1:]
    fields: dict[str, Any] = {"version": "trio_ssh_9.9", "addresses": lambda: addresses[:1] if "db8" not in condition else addresses}
    if holds is None:
        with pytest.raises(ConfigError, match="all must stand alone"):
            matches(condition, **fields)
    else:
        assert matches(condition, **fields) is holds


def test_what_is_to_be_done_there():
    assert matches("command 'git-*'", command="git-upload-pack x", session_type="exec")
    assert matches("sessiontype exec command *", command="true", session_type="exec")
    assert not matches('command ""', command="true", session_type="exec")


def test_a_condition_sees_what_was_found_above_it():
    assert matches("user ada", before="User ada")
    assert not matches("user me", before="User ada")
    assert matches("host 192.0.2.1 originalhost box*", before="HostName 192.0.2.1")
    assert matches("host box.example.net", before="HostName %h.net")
    assert matches("tagged a*", before="Tag abc")
    assert port("Match user ada\nPort 7\nMatch all\nUser ada") == 22  # what stands below does not count yet


def test_the_final_pass():
    text = "Host box\nHostName box.example\nMatch final host box.example\nUser second\nHost box.example\nPort 7\nMatch final\nPort 8"
    settings = SSHConfig.from_text(text).for_host("box", query=query("box"))
    assert (settings[ssh_config.USER], settings[ssh_config.PORT]) == ("second", 7)  # now the host has another name
    without = text.replace("final", "canonical")
    settings = SSHConfig.from_text(without).for_host("box", query=query("box"))
    assert (settings[ssh_config.USER], settings[ssh_config.PORT]) == (None, 22)  # nothing asks for a second pass


def test_the_final_pass_changes_nothing_that_is_set():
    text = "User first\nIdentityFile a\nSendEnv X\nMatch final\nUser second\nIdentityFile b\nSendEnv Y"
    settings = SSHConfig.from_text(text, "file").for_host("box", query=query("box"))
    assert settings[ssh_config.USER] == "first"
    assert ssh_config.identity_files(settings) == ("a", "b")
    assert settings.places(ssh_config.IDENTITY_FILE) == (Place("file", 2), Place("file", 6))


@pytest.mark.parametrize(
    ("condition", "error"),
    [
        ("", "Match: its value is missing"),
        ("hots x", "Match: there is no criterion 'hots'; there are all, canonical, command, exec, final, host, "),
        ("host", "Match: host needs a value"),
        ('host ""', "Match: the value of host is empty"),
        ("host x all", "Match: all must stand alone, or behind canonical or final"),
        ("all host x", "Match: all must stand alone"),
        ("final=1", "Match: final takes no value"),
        ("canonical final all", "Match: all must stand alone"),
        ("!", "Match: there is no criterion '!'"),
        ("exec", "Match: exec needs a value"),
        ('exec "x', "Match: a quote is not closed"),
    ],
)
def test_faults(condition, error):
    with pytest.raises(ConfigError) as caught:
        SSHConfig.from_text(f"\nMatch {condition}\nPort 7", "file")
    assert str(caught.value).startswith(f"file line 2: {error}")


def test_bad_networks():
    with pytest.raises(ConfigError, match=r"^file line 2: Match: localnetwork: '192.0.2.1/24' is not an address.*bits are set"):
        matches("localnetwork 192.0.2.1/24")


def test_another_language_without_negation():
    names = MatchNames(taking=frozenset({"user"}))
    assert names.parse(("User", "a,b"), PLACE) == MatchLine((Criterion("user", "a,b"),), PLACE)
    with pytest.raises(ValueError, match="no criterion '!user'; there are all, user"):
        names.parse(("!user", "x"), PLACE)
    with pytest.raises(ValueError, match=r"^all must stand alone$"):
        names.parse(("user", "x", "all"), PLACE)


# -- Match exec ----------------------------------------------------------------------------------------------------------------------------


@attrs.define
class Shell:
    """Answers in turn, and remembers what it was given."""

    answers: Sequence[bool] = (True,) * 9
    commands: list[str] = attrs.field(factory=list)

    async def run(self, command: str) -> bool:
        self.commands.append(command)
        return self.answers[len(self.commands) - 1]


async def resolved_port(text: str, shell: Shell, host: str = "box.example") -> int:
    resolved = await resolve(SSHConfig.from_text(text, "file"), query(host), run=shell.run)
    return resolved.settings[ssh_config.PORT]


async def test_e11_a_command_is_what_the_user_wrote_with_its_tokens():
    shell = Shell()
    text = """
        User ada
        Port 2222
        HostName %h.net
        Match exec "test -e $HOME/'x y' && echo %% %h %n %r %u %p %i %d %L %l %k | grep \\"%C\\" > /dev/null; [ `id -u` = 0 ]"
        BatchMode yes
    """
    assert await resolved_port(text, shell) == 2222
    digest = hashlib.sha1(b"desk.examplebox.example.net2222ada").hexdigest()
    shown = "% box.example.net box.example ada me 2222 1000 /home/me desk desk.example box.example.net"
    assert shell.commands == [f"test -e $HOME/'x y' && echo {shown} | grep \"{digest}\" > /dev/null; [ `id -u` = 0 ]"]


async def test_a_command_is_run_only_if_what_stands_before_it_holds():
    text = 'Match host other exec "one"\nPort 1\nMatch exec "two"\nPort 2\nMatch !exec "three" exec "four"\nPort 3\nMatch !exec no\nPort 4'
    shell = Shell((False, False, True, False))
    assert await resolved_port(text, shell) == 3
    assert shell.commands == ["two", "three", "four", "no"]


async def test_commands_are_not_run_without_being_asked_for():
    text = 'Match exec "true"\nPort 1'
    with pytest.raises(ConfigError, match=r"^file line 1: Match: exec: whether this section counts is not known"):
        SSHConfig.from_text(text, "file").for_host("x")
    with pytest.raises(ConfigError, match="no command is run here"):
        await resolve(SSHConfig.from_text(text, "file"), query())


async def test_an_unknown_token_in_a_command():
    with pytest.raises(ConfigError, match=r"^file line 1: Match: exec 'x %z': the token '%z' is not one of"):
        await resolved_port("Match exec 'x %z'\nPort 1", Shell())


METACHARACTERS = [
    "$(touch /tmp/x)", "`id`", "a;b", "a&b", "a&&b", "a|b", "a||b", "a>b", "a<b", "a(b", "a)b", "a{b", "a}b", "a'b", 'a"b', "a\\",
    "a\nb", "a\rb", "a\tb", "a\x1bb", "a\x7fb", "a\0b", "-oProxyCommand=x", "-", "--", "-l", "", "$(", "a$(b)", "x;", ";x", "|x",
    "$(id)@", "`", "'", '"', "a\x85b", "a\u2028b", "a\u202eb", "a\x9bb", "(", ")", "{}", "<x", ">x", "&", "x -y", "x' -o'",
]  # fmt: skip
ONLY_IN_HOSTS = ["a$b", "$HOME", "a b", "a\\b", "a\u00a0b", "${IFS}", "%(x) y", " x", "x ", "$x", "\\x", "DOMAIN\\x"]
STRINGS = METACHARACTERS + ONLY_IN_HOSTS


def test_there_are_sixty_strings():
    assert len(set(STRINGS)) == 60


@pytest.mark.parametrize("text", STRINGS, ids=ascii)
async def test_e11_no_name_of_a_host_reaches_a_shell_that_reads_more_into_it(text):
    for token in ("%h", "%n", "%k"):
        shell = Shell()
        with pytest.raises(ConfigError, match="cannot be the name of a host"):
            await resolved_port(f"Match exec 'ping {token}'\nPort 7", shell, text)
        assert shell.commands == []
    shell = Shell()
    assert await resolved_port("Match exec 'ping x'\nPort 7", shell, text) == 7  # it does not name the host
    assert shell.commands == ["ping x"]


NOT_IN_A_LINE = ("", "a\nb", "a\0b")


@pytest.mark.parametrize("text", [text for text in METACHARACTERS if text not in NOT_IN_A_LINE], ids=ascii)
async def test_e11_no_name_of_a_user_reaches_a_shell_that_reads_more_into_it(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    options = SSHConfig.from_options([f'User="{escaped}"'])
    assert options.for_host("x")[ssh_config.USER] == text
    shell = Shell()
    with pytest.raises(ConfigError, match="cannot be the name of a user"):
        await resolve(options.followed_by(SSHConfig.from_text("Match exec 'id %r'\nPort 7")), query(), run=shell.run)
    assert shell.commands == []


@pytest.mark.parametrize("text", NOT_IN_A_LINE, ids=ascii)
def test_e11_e13_these_are_no_names_in_a_line(text):
    with pytest.raises(ConfigError, match=r"control character|its value is empty"):
        SSHConfig.from_options([f'User="{text}"'])


# -- who may say which commands are run ----------------------------------------------------------------------------------------------------


def test_a_file_that_others_can_write_to_runs_nothing(tmp_path):
    path = tmp_path / "config"
    path.write_text("Match exec 'true'\nPort 7")
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="others than you may write to this file"):
        SSHConfig.from_file(path)
    path.write_text("Match host *\nPort 7")
    assert SSHConfig.from_file(path).for_host("x")[ssh_config.PORT] == 7
    path.write_text("Match exec 'true'\nPort 7")
    path.chmod(0o600)
    assert SSHConfig.from_file(path).sections


def test_where_we_are():
    local = Local.current()
    assert local.uid == os.getuid()
    assert local.host_name
