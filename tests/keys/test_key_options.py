"""The options of authorized_keys: each one alone, their order, their quotes, and everything that refuses a line."""

from __future__ import annotations

import time
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ssh.errors import KeyFileError
from trio_ssh.keys.key_options import KeyOptions, parse_key_options, read_key_options
from trio_ssh.keys.permissions import RESTRICTED, Permissions
from trio_ssh.wire.addresses import AddressList

EVERYTHING = Permissions()


def limited(limits: Permissions = EVERYTHING, /, **changes: Any) -> Permissions:
    return attrs.evolve(limits, **changes)


def permitted(text: str) -> Permissions:
    return parse_key_options(text).permissions


def refused(text: str) -> str:
    with pytest.raises(KeyFileError) as caught:
        read_key_options(text)
    assert caught.value.path is None
    assert str(caught.value).isprintable()
    return str(caught.value)


# --- what each means ---------------------------------------------------------------------------------------------------------------------

FLAGS = {
    "agent-forwarding": "agent_forwarding",
    "X11-forwarding": "x11_forwarding",
    "port-forwarding": "port_forwarding",
    "pty": "terminal",
    "user-rc": "user_rc",
}


@pytest.mark.parametrize(("name", "field"), FLAGS.items())
def test_a_no_form_takes_away_and_the_positive_one_gives_back(name, field):
    assert permitted(f"no-{name}") == limited(**{field: False})
    assert permitted(f"no-{name},{name}") == EVERYTHING
    assert permitted(f"{name},no-{name}") == limited(**{field: False})
    assert permitted(f"restrict,{name}") == limited(RESTRICTED, **{field: True})
    assert permitted(f"{name},restrict") == RESTRICTED, "restrict takes away what stands before it"


def test_b18_restrict_covers_every_forwarding_kind():
    kinds = [field.name for field in attrs.fields(Permissions) if "forwarding" in field.name]
    assert kinds == ["port_forwarding", "agent_forwarding", "x11_forwarding"]
    found = permitted("restrict")
    assert not any(getattr(found, kind) for kind in kinds)
    assert not found.terminal
    assert not found.user_rc
    assert not found.may_open("localhost", 80)
    assert not found.may_listen("localhost", 80)


def test_touch_and_verification():
    assert permitted("no-touch-required") == limited(touch_required=False)
    assert permitted("verify-required") == limited(verify_required=True)
    assert permitted("no-touch-required,touch-required,verify-required,no-verify-required") == EVERYTHING
    assert permitted("no-touch-required,verify-required,restrict") == limited(RESTRICTED, touch_required=False, verify_required=True)


def test_names_are_case_insensitive():
    assert permitted("RESTRICT,Pty,X11-FORWARDING") == permitted("restrict,pty,x11-forwarding")
    assert permitted('Command="Echo A"').force_command == "Echo A"
    assert parse_key_options("Cert-Authority").cert_authority


@pytest.mark.parametrize(
    ("written", "command"),
    [
        ("", ""),
        ("echo a, b = c", "echo a, b = c"),
        (r"echo \"ssh-ed25519 AAAA\" # x", 'echo "ssh-ed25519 AAAA" # x'),
        (r"a\\b\n \' $X", r"a\\b\n \' $X"),
        (r"a\\\"b", r"a\\" + '"b'),
        ("\ttab\u2028ü", "\ttab\u2028ü"),
        ("bytes \udcff", "bytes \udcff"),
    ],
)
def test_a_command_is_what_stands_in_the_quotes(written, command):
    assert permitted(f'command="{written}"') == limited(force_command=command)


def test_environment_the_first_of_a_name_counts():
    found = permitted('environment="A=1",environment="B_2=x=y, z",environment="A=2",environment="C="')
    assert found.environ == (("A", "1"), ("B_2", "x=y, z"), ("C", ""))


def test_permitopen_and_permitlisten():
    found = permitted('permitopen="192.0.2.1:80",permitopen="[::1]:*",permitopen="host/22",permitlisten="8080",permitlisten="*.x:0443"')
    assert found.permit_open == ("192.0.2.1:80", "[::1]:*", "host:22")
    assert found.permit_listen == ("*:8080", "*.x:443")


def test_tunnel():
    assert permitted('tunnel="0"').tunnel == 0
    assert permitted('tunnel="2147483645"').tunnel == 2147483645
    assert permitted('tunnel="any"').tunnel is None


def test_cert_authority_and_principals():
    assert parse_key_options("cert-authority") == KeyOptions(cert_authority=True)
    found = parse_key_options('principals="ada, b*,",cert-authority')
    assert found.principals == ("ada", " b*")
    assert parse_key_options('cert-authority,principals=""').principals == ()


def test_a_comma_too_many_changes_nothing_as_with_sshd():
    assert read_key_options("restrict, rest") == (KeyOptions(permissions=RESTRICTED), "rest")
    assert permitted(",restrict,,pty,") == permitted("restrict,pty")
    assert read_key_options("") == (KeyOptions(), "")


def test_the_first_blank_outside_of_quotes_ends_the_options():
    for blank in (" ", "\t", " \t "):
        options, rest = read_key_options(f'command="a b"{blank}no-pty x ')
        assert options.permissions == limited(force_command="a b")
        assert rest == "no-pty x "
    with pytest.raises(KeyFileError, match=r"'no-pty' follows the options"):
        parse_key_options("restrict no-pty")


# --- from and expiry-time ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "inside", "outside"),
    [
        ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.70", "192.0.2.8", ""]),
        ("192.0.2.0/24,!192.0.2.7", ["192.0.2.8"], ["192.0.2.7", "192.0.3.1"]),
        ("!192.0.2.7,192.0.2.*", ["192.0.2.70"], ["192.0.2.7", "::ffff:192.0.2.7"]),
        ("192.0.2.?", ["192.0.2.1"], ["192.0.2.10"]),
        ("2001:db8::/32", ["2001:db8::1", "2001:DB8:0::1%eth0"], ["2001:db9::1", "192.0.2.1"]),
        ("2001:DB8::*", ["2001:db8::5"], ["2001:db9::5"]),
        ("*", ["192.0.2.1", "::1"], ["", "no address", "192.0.2.1 port 22"]),
        ("*,!*", [], ["192.0.2.1"]),
        ("!192.0.2.7", [], ["192.0.2.7", "192.0.2.8"]),
        ("host.example,cafe.de,*.example", [], ["192.0.2.1", "host.example", ""]),
        ("host.example,192.0.2.1", ["192.0.2.1"], ["192.0.2.2"]),
        ("", [], ["192.0.2.1", ""]),
    ],
)
def test_from(sources, inside, outside):
    options = parse_key_options(f'from="{sources}"')
    assert options.permissions == EVERYTHING
    assert not [address for address in inside if options.refusal(address, 0)]
    assert not [address for address in outside if not options.refusal(address, 0)]


def test_from_is_not_there_from_anywhere():
    assert KeyOptions().refusal("", 0) == KeyOptions().refusal("192.0.2.1", 1e12) == ""


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("20300102Z", 1893542400),
        ("203001020304Z", 1893553440),
        ("20300102030405Z", 1893553445),
        ("20300102030405z", 1893553445),
        ("20300102utc", 1893542400),
    ],
)
def test_expiry_time_in_utc(text, last):
    options = parse_key_options(f'expiry-time="{text}"')
    assert options == KeyOptions(expires=last)
    assert options.refusal("", last) == ""
    assert "expired" in options.refusal("", last + 1)


@pytest.fixture
def far_east(monkeypatch):
    monkeypatch.setenv("TZ", "FAR-12")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_expiry_time_is_local_without_a_z(far_east):
    assert parse_key_options('expiry-time="20300102"').expires == 1893542400 - 12 * 3600
    assert parse_key_options('expiry-time="20300102Z"').expires == 1893542400


def test_the_earliest_expiry_time_counts():
    assert parse_key_options('expiry-time="20300102Z",expiry-time="20290102Z",expiry-time="20310102Z"').expires == 1862006400


# --- what refuses the line ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("unknown", "unknown option 'unknown'"),
        ('unknown="x"', "unknown option 'unknown'"),
        ("restrictx", "unknown option 'restrictx'"),
        ("no-restrict", "unknown option 'no-restrict'"),
        ("no-cert-authority", "unknown option 'no-cert-authority'"),
        ("no-", "unknown option 'no-'"),
        ("pty\u00a0", r"unknown option 'pty\\xa0'"),
        ("\u2028", r"unknown option '\\u2028'"),
        ('="x"', "unknown option ''"),
        ('pty="x"', "the option 'pty' takes no value"),
        ('cert-authority="x"', "takes no value"),
        ("command", "the option command needs a value: command="),
        ("FROM", "the option from needs a value"),
        ("command=", "the option 'command' needs its value in quotes"),
        ("command=ls", "needs its value in quotes"),
        ("command='ls'", "needs its value in quotes"),
        ('command= "ls"', "needs its value in quotes"),
        ('command="ls', "has a quote that is never closed"),
        ('command="ls\\"', "has a quote that is never closed"),
        ('command="ls""x"', "the option 'command' ends in '\"'; put a comma between options"),
        ('command="ls"x', "ends in 'x'"),
        ('command="ls"pty', "ends in 'p'"),
        ('pty"x"', "ends in"),
        ('"pty"', "ends in"),
        ('command="a",command="a"', "the option command is there twice"),
        ('command="a",COMMAND="b"', "the option command is there twice"),
        ('from="*",from="*"', "the option from is there twice"),
        ('tunnel="1",tunnel="1"', "the option tunnel is there twice"),
        ('cert-authority,principals="a",principals="a"', "the option principals is there twice"),
        ('principals="a"', "it needs cert-authority beside it"),
        ('environment="A"', "is not NAME=value"),
        ('environment="=x"', "is not NAME=value"),
        ('environment="A-B=x"', "is not NAME=value"),
        ('environment="ä=x"', "is not NAME=value"),
        ('from="127.0.0.1/8"', "no address, network"),
        ('from="127.0.0.0/255.0.0.0"', "no address, network"),
        ('from="10.0.0.0/33"', "no address, network"),
        ('from="10.0.0"', "no address, network"),
        ('from="10.0.0.1, 10.0.0.2"', "no address, network"),
        ('from="a,,b"', "no address, network"),
        ('from="a,"', "no address, network"),
        ('from="!"', "no address, network"),
        ('from="!!10.0.0.1"', "no address, network"),
        ('from="*,!host.example"', "names of hosts are not looked up"),
        ('from="*,!b*d"', "names of hosts are not looked up"),
        ('expiry-time=""', "expiry-time"),
        ('expiry-time="2030010"', "expiry-time"),
        ('expiry-time="2030010203"', "expiry-time"),
        ('expiry-time="20301301"', "expiry-time"),
        ('expiry-time="20300231"', "expiry-time"),
        ('expiry-time="203001012400"', "expiry-time"),
        ('expiry-time="20300101ZZ"', "expiry-time"),
        ('expiry-time="20300101 "', "expiry-time"),
        ('expiry-time="２０300101"', "expiry-time"),
        ('expiry-time="19690101Z"', "is before 1970"),
        ('expiry-time="19700101Z"', "is before 1970"),
        ('permitopen="80"', "is not HOST:PORT"),
        ('permitopen=":80"', "is not HOST:PORT"),
        ('permitopen="host:0"', "is not HOST:PORT"),
        ('permitopen="host:65536"', "is not HOST:PORT"),
        ('permitopen="host:http"', "is not HOST:PORT"),
        ('permitopen="host:80 "', "is not HOST:PORT"),
        ('permitopen="::1:80"', "is not HOST:PORT"),
        ('permitopen="[::1:80"', "is not HOST:PORT"),
        ('permitopen="[]:80"', "is not HOST:PORT"),
        ('permitopen="none"', "is not HOST:PORT"),
        ('permitopen="a:1,b:2"', "is not HOST:PORT"),
        ('permitlisten="0"', "is not HOST:PORT"),
        ('permitlisten=""', "is not HOST:PORT"),
        ('tunnel=""', "is not the number of a device"),
        ('tunnel="-1"', "is not the number of a device"),
        ('tunnel="2147483646"', "is not the number of a device"),
        ('tunnel="٣"', "is not the number of a device"),
    ],
)
def test_b18_whatever_is_unknown_or_malformed_refuses(text, reason):
    assert reason in refused(text)
    assert reason in refused(f"restrict,{text}")
    assert reason in refused(f"{text},restrict key") or "quote" in reason


# --- properties --------------------------------------------------------------------------------------------------------------------------

names = st.sampled_from([*FLAGS, *(f"no-{name}" for name in FLAGS), "restrict"])


@given(st.lists(names, min_size=1, max_size=12))
def test_flags_are_obeyed_from_left_to_right(flags):
    expected: dict[str, Any] = dict.fromkeys(FLAGS.values(), True)
    for name in flags:
        if name == "restrict":
            expected = dict.fromkeys(FLAGS.values(), False)
        else:
            expected[FLAGS[name.removeprefix("no-")]] = not name.startswith("no-")
    assert permitted(",".join(flags)) == limited(**expected)


@given(st.text(st.characters(blacklist_characters="\0"), max_size=60))
def test_any_command_comes_through_its_quotes(command):
    """A backslash before a quote, or at the end, cannot be written: there is no escape for it."""
    if '\\"' in command or command.endswith("\\"):
        return
    quoted = command.replace('"', '\\"')
    options, rest = read_key_options(f'command="{quoted}",restrict key')
    assert options.permissions == limited(RESTRICTED, force_command=command)
    assert rest == "key"


@given(st.text(alphabet='abno-pty,="\\ \tcomdre', max_size=40) | st.text(max_size=40))
def test_b18_taken_whole_or_refused(text):
    try:
        options, rest = read_key_options(text)
    except KeyFileError as error:
        assert str(error).isprintable()  # noqa: PT017 - both ways out are fine
        return
    assert isinstance(options, KeyOptions)
    assert text.endswith(rest)
    taken = text[: len(text) - len(rest)].rstrip(" \t")
    assert parse_key_options(taken) == options


def test_values_are_values():
    assert parse_key_options('from="10.0.0.0/8"').sources == AddressList.of(["10.0.0.0/8"])
    assert hash(parse_key_options('from="10.0.0.0/8",command="x",environment="A=b"'))
