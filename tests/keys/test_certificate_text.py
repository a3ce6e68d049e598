"""-V and -O of ssh-keygen, and what its -L shows. Against the real one: tests/interop/test_keygen_certificates.py."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.keys.raw_certificates import FOREVER, string
from trio_ssh.keys import (
    Certificate,
    CertificateKind,
    CertificateRequest,
    PrivateKey,
    describe_certificate,
    parse_absolute_time,
    parse_certificate_options,
    parse_validity,
    sign_certificate,
)
from trio_ssh.keys.certificate_times import validity_text

NOW = 1_800_000_030.9
DAY = 86400
PERMITS = ("permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc")


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two hours east of UTC in winter, three in summer."""
    monkeypatch.setenv("TZ", "EET-2EEST,M3.5.0/3,M10.5.0/4")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("+52w", 1_799_999_940, 1_800_000_030 + 364 * DAY),
        ("+1", 1_799_999_940, 1_800_000_031),
        ("-1d:+1w", 1_800_000_030 - DAY, 1_800_000_030 + 7 * DAY),
        ("-1W2d3H4m5s:+90", 1_800_000_030 - 9 * DAY - 3 * 3600 - 245, 1_800_000_120),
        ("+1d:+2d", 1_800_000_030 + DAY, 1_800_000_030 + 2 * DAY),
        ("always:forever", 0, FOREVER),
        ("always:+0", 0, 1_800_000_030),
        ("20300101Z:20310101Z", 1_893_456_000, 1_924_992_000),
        ("20300101utc:203101012359Z", 1_893_456_000, 1_924_992_000 + 86340),
        ("20300101000001Z:forever", 1_893_456_001, FOREVER),
        ("20300101:20300701", 1_893_456_000 - 7200, 1_909_094_400 - 10800),
        ("203001010200:20300101020001", 1_893_456_000, 1_893_456_001),
        ("0x10:0xfF", 16, 255),
        ("0x0:0xffffffffffffffff", 0, FOREVER),
        ("always:0xfffffffffffffffe", 0, FOREVER - 1),
    ],
)
def test_validity(text, begin, end, zone):
    assert parse_validity(text, NOW) == (begin, end)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "give .DURATION"),
        ("20300101", "give .DURATION"),
        (":+1", "give .DURATION"),
        ("+1:", "give .DURATION"),
        ("forever:always", "'forever' is not a time"),
        ("+", "'' is not a time such as"),
        ("+1y", "'1y' is not a time such as"),
        ("+d", "not a time such as"),
        ("+١", "not a time such as"),
        ("+" + "1" * 60, "not a time such as"),
        ("+99999999999999999w", "leaves no time"),
        ("-2000000000:+1", "'-2000000000' is before 1970"),
        ("+1w:+1d", "leaves no time"),
        ("0x5:0x5", "leaves no time"),
        ("19690101Z:forever", "leaves no time"),
        ("0x:0x5", "'0x' is not a time"),
        ("0x10000000000000000:forever", "is not a time"),
        ("0XA:0xb", "is not a time"),
        ("20301301Z:forever", "is not a date and time that there is"),
        ("20300230Z:forever", "is not a date and time that there is"),
        ("00000101:forever", "is not a date and time that there is"),
        ("2030010124:forever", "not a time such as"),
        ("20300101 :forever", "not a time such as"),
        ("20300101\x1b[2JZ:forever", r"'20300101\\\\x1b"),
        ("٢٠٣٠٠١٠١Z:forever", "is not a"),
    ],
)
def test_what_is_no_validity(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_validity(text, NOW)


def test_an_absolute_time(zone):
    assert parse_absolute_time("20300101Z") == 1_893_456_000
    assert parse_absolute_time("20300101") == 1_893_456_000 - 7200


@pytest.mark.parametrize(
    ("begin", "end", "text"),
    [
        (0, FOREVER, "forever"),
        (0, 1_893_456_000, "before 2030-01-01T02:00:00"),
        (1_909_094_400, FOREVER, "after 2030-07-01T03:00:00"),
        (1_893_456_000, 1_893_456_001, "from 2030-01-01T02:00:00 to 2030-01-01T02:00:01"),
        (1, FOREVER - 1, "from 1970-01-01T02:00:01 to 18446744073709551614 seconds after 1970"),
    ],
)
def test_validity_as_text(begin, end, text, zone):
    assert validity_text(begin, end) == text


# --- -O ----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "critical", "extensions"),
    [
        ([], {}, PERMITS),
        (["clear"], {}, ()),
        (["clear", "permit-pty", "permit-x11-forwarding"], {}, ("permit-X11-forwarding", "permit-pty")),
        (["no-pty", "NO-X11-forwarding", "no-user-rc"], {}, ("permit-agent-forwarding", "permit-port-forwarding")),
        (["no-agent-forwarding", "no-port-forwarding", "permit-agent-forwarding"], {}, tuple(p for p in PERMITS if "port" not in p)),
        (["no-touch-required", "clear"], {}, ()),
        (["clear", "no-touch-required", "Verify-Required"], {"verify-required": b""}, ("no-touch-required",)),
        (["clear", "force-command=a=b c"], {"force-command": string("a=b c")}, ()),
        (["clear", "Source-Address=192.0.2.0/24,::1"], {"source-address": string("192.0.2.0/24,::1")}, ()),
        (["clear", "critical:a@b=x=y", "critical:c@d"], {"a@b": string("x=y"), "c@d": b""}, ()),
        (["clear", "extension:a@b", "Extension:permit-pty"], {}, ("a@b", "permit-pty")),
        (["extension:permit-pty"], {}, PERMITS),
    ],
)
def test_options(words, critical, extensions):
    found_critical, found_extensions = parse_certificate_options(words)
    assert dict(found_critical) == critical
    assert dict.fromkeys(extensions, b"") == dict(found_extensions)


def test_an_extension_with_a_value():
    assert parse_certificate_options(["clear", "extension:a@b=c"]) == ((), (("a@b", string("c")),))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["permit-everything"], "'permit-everything' is not an option of certificates"),
        (["no-way"], "not an option"),
        (["clear=1"], "not an option"),
        (["no-pty=1"], "not an option"),
        (["force-command"], "value of force-command is missing"),
        (["force-command="], "value of force-command is missing"),
        (["force-command=a\0b"], "has a NUL"),
        (["force-command=a", "force-command=b"], "given another value before"),
        (["source-address="], "is missing"),
        (["source-address=192.0.2.*"], "not an address or a network"),
        (["source-address=192.0.2.1/24"], "bits are set"),
        (["critical:"], "has no name"),
        (["critical:=x"], "has no name"),
        (["extension:a=1", "extension:a=2"], "another value"),
        (["extension:permit-pty=1"], "'permit-pty': the option .* another value"),
        (["a\x1b[2J"], r"'a\\\\x1b\[2J'"),
    ],
)
def test_what_is_no_option(words, reason):
    with pytest.raises(ValueError, match=reason):
        parse_certificate_options(words)


# --- -L ----------------------------------------------------------------------------------------------------------------------------------


def certificate_with(**fields) -> Certificate:
    key = PrivateKey.generate()
    return sign_certificate(key, CertificateRequest(public_key=key.public_key, **fields))


def test_what_is_shown_of_an_empty_one():
    certificate = certificate_with(kind=CertificateKind.HOST)
    fingerprint = certificate.public_key.fingerprint()
    assert describe_certificate(certificate) == [
        "        Type: ssh-ed25519-cert-v01@openssh.com host certificate",
        f"        Public key: ED25519-CERT {fingerprint}",
        f"        Signing CA: ED25519 {fingerprint} (using ssh-ed25519)",
        '        Key ID: ""',
        "        Serial: 0",
        "        Valid: forever",
        "        Principals: (none)",
        "        Critical Options: (none)",
        "        Extensions: (none)",
    ]


def test_nothing_that_is_shown_drives_a_terminal():
    lines = describe_certificate(
        certificate_with(
            key_id="a\x1b[2J\n",
            principals=["b\x1b[2J", "\u202ec"],
            critical_options={"force-command": "d\x1b[2J", "e\x1b[2J": b""},
            extensions={"f\x1b[2J": "g"},
        )
    )
    assert all(line.isprintable() for line in lines)
    assert r"                force-command d\x1b[2J" in lines


def test_damaged_options_are_shown():
    lines = describe_certificate(certificate_with(critical_options={"force-command": b"\1", "verify-required": b"\2"}))
    assert lines[-3:-1] == ["                force-command DAMAGED: 01", "                verify-required UNKNOWN OPTION: 02 (len 1)"]
