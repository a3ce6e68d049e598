"""MaxStartups, PerSourceMaxStartups, PerSourceNetBlockSize, PerSourcePenalties, PerSourcePenaltyExemptList: values, faults and limits."""

from __future__ import annotations

import pytest

from trio_ssh import Limits, SourcePenalties
from trio_ssh.config import SSHDConfig, server_limits
from trio_ssh.errors import ConfigError


def limits_of(text: str) -> Limits:
    return server_limits(SSHDConfig.from_text(text, "file").settings)


def test_without_a_setting_the_limits_are_the_librarys_with_openssh_s_penalties():
    limits = limits_of("")
    for name in (
        "unauthenticated_connections",
        "unauthenticated_drop_begin",
        "unauthenticated_drop_percent",
        "unauthenticated_per_source",
        "source_ipv4_bits",
        "source_ipv6_bits",
        "handshakes_per_source_per_second",
    ):
        assert getattr(limits, name) == getattr(Limits(), name), name
    assert limits.source_penalties == SourcePenalties()


@pytest.mark.parametrize(
    ("text", "begin", "percent", "full"),
    [("10:30:100", 10, 30, 100), ("1:100:1", 1, 100, 1), ("5", 5, 30, 5), ("3:1:2147483647", 3, 1, 2147483647)],
)
def test_max_startups(text, begin, percent, full):
    limits = limits_of(f"MaxStartups {text}")
    assert limits.unauthenticated_drop_begin == begin
    assert limits.unauthenticated_drop_percent == percent
    assert limits.unauthenticated_connections == full


def test_per_source_max_startups():
    assert limits_of("PerSourceMaxStartups 3").unauthenticated_per_source == 3
    assert limits_of("persourcemaxstartups NONE").unauthenticated_per_source is None


@pytest.mark.parametrize(("text", "bits"), [("24", (24, 64)), ("32:128", (32, 128)), ("0:0", (0, 0))])
def test_per_source_net_block_size(text, bits):
    limits = limits_of(f"PerSourceNetBlockSize {text}")
    assert (limits.source_ipv4_bits, limits.source_ipv6_bits) == bits


@pytest.mark.parametrize(
    ("text", "penalties"),
    [
        ("PerSourcePenalties yes", SourcePenalties()),
        ("PerSourcePenalties no", None),
        ("PerSourcePenalties no\nPerSourcePenalties crash:1h", None),
        ("PerSourcePenalties crash:1h authfail:2m", SourcePenalties(crash_seconds=3600, auth_failure_seconds=120)),
        ("PerSourcePenalties crash:1h\nPerSourcePenalties crash:2h noauth:0", SourcePenalties(crash_seconds=3600, no_auth_seconds=0)),
        (
            "PerSourcePenalties invaliduser:1 noauth:0.5s grace-exceeded:2 refuseconnection:3 max:1d min:4",
            SourcePenalties(
                invalid_user_seconds=1,
                no_auth_seconds=0.5,
                grace_exceeded_seconds=2,
                refused_seconds=3,
                max_seconds=86400,
                min_seconds=4,
            ),
        ),
        ("PerSourcePenalties max-sources4:1 max-sources6:2", SourcePenalties(sources_ipv4=1, sources_ipv6=2)),
        ("PerSourcePenalties overflow:deny-all", SourcePenalties(deny_all_ipv4=True, deny_all_ipv6=True)),
        ("PerSourcePenalties overflow6:deny-all", SourcePenalties(deny_all_ipv6=True)),
        ("PerSourcePenalties overflow:deny-all overflow6:permissive", SourcePenalties(deny_all_ipv4=True)),
        ("PerSourcePenaltyExemptList 127.0.0.1,::1,10.0.0.0/8", SourcePenalties(exempt=["127.0.0.1", "::1", "10.0.0.0/8"])),
        ("PerSourcePenaltyExemptList !10.1.*,10.*", SourcePenalties(exempt=["!10.1.*", "10.*"])),
    ],
)
def test_per_source_penalties(text, penalties):
    assert limits_of(text).source_penalties == penalties


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("MaxStartups 0", "MaxStartups: '0' is not a number from 1 to 2147483647"),
        ("MaxStartups 10:30", "MaxStartups: '10:30' is not a number, or start:rate:full such as 10:30:100"),
        ("MaxStartups 10:0:100", "MaxStartups: '0' is not a number from 1 to 100"),
        ("MaxStartups 10:101:100", "MaxStartups: '101' is not a number from 1 to 100"),
        ("MaxStartups 101:30:100", "MaxStartups: '101:30:100': its start is more than its full"),
        ("MaxStartups x:30:100", "MaxStartups: 'x' is not a number"),
        ("MaxStartups 10 30 100", "MaxStartups: it takes one value, not 3"),
        ("PerSourceMaxStartups -1", "PerSourceMaxStartups: '-1' is not a number from 0 to 2147483647"),
        ("PerSourceMaxStartups", "PerSourceMaxStartups: its value is missing"),
        ("PerSourceNetBlockSize 33", "PerSourceNetBlockSize: '33' is not a number from 0 to 32"),
        ("PerSourceNetBlockSize 32:129", "PerSourceNetBlockSize: '129' is not a number from 0 to 128"),
        ("PerSourceNetBlockSize 32:", "PerSourceNetBlockSize: '' is not a number from 0 to 128"),
        ("PerSourcePenalties yes crash:1", "PerSourcePenalties: 'yes' must stand alone"),
        ("PerSourcePenalties crash:1 no", "PerSourcePenalties: 'no' is not yes, no, or a penalty and its value; there are crash,"),
        ("PerSourcePenalties crush:1", "PerSourcePenalties: 'crush:1' is not yes, no, or a penalty"),
        ("PerSourcePenalties crash", "PerSourcePenalties: 'crash' is not yes, no, or a penalty"),
        ("PerSourcePenalties crash:", "PerSourcePenalties: '' is not a time such as 90"),
        ("PerSourcePenalties crash:1y", "PerSourcePenalties: '1y' is not a time such as 90"),
        ("PerSourcePenalties max-sources4:many", "PerSourcePenalties: 'many' is not a number"),
        ("PerSourcePenalties overflow:sometimes", "PerSourcePenalties: 'sometimes' is not permissive or deny-all"),
        ("PerSourcePenaltyExemptList host", "PerSourcePenaltyExemptList: 'host' is not an address, a network such as"),
        ("PerSourcePenaltyExemptList 192.0.2.0/33", "PerSourcePenaltyExemptList: '192.0.2.0/33' is not an address"),
        ("PerSourcePenaltyExemptList 192.0.2.0/8", "PerSourcePenaltyExemptList: '192.0.2.0/8' is not"),
        ("PerSourcePenaltyExemptList ::1,", "PerSourcePenaltyExemptList: '' is not an address"),
    ],
)
def test_faults(text, error):
    with pytest.raises(ConfigError) as caught:
        limits_of(text)
    assert str(caught.value).startswith(f"file line 1: {error}")
