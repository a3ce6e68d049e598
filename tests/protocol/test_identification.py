"""The identification exchange (RFC 4253 §4.2): hardening SM-001 to SM-018, each fed whole and split at every byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.identification import Identification, IdentificationReader, identification_line
from trio_ssh.protocol.limits import Limits
from trio_ssh.protocol.role import Role

SERVER, CLIENT = Role.SERVER, Role.CLIENT
both_roles = pytest.mark.parametrize("role", list(Role))


def feed_in_pieces(role: Role, parts: list[bytes], limits: Limits | None = None) -> Identification | None:
    """The answer; whatever comes behind it is put where it was found."""
    reader = IdentificationReader(role, limits or Limits())
    for number, part in enumerate(parts):
        answer = reader.feed(part)
        if answer is not None:
            return Identification(answer.line, answer.trailing + b"".join(parts[number + 1 :]))
    return None


def outcome(role: Role, parts: list[bytes], limits: Limits | None = None) -> Identification | tuple[int | None, bytes] | None:
    """The identification, None for "more", or (reason, plain text) of the refusal."""
    try:
        return feed_in_pieces(role, parts, limits)
    except RemoteProtocolError as error:
        return error.reason, error.plain_text


def of(role: Role, data: bytes, limits: Limits | None = None) -> Identification | tuple[int | None, bytes] | None:
    """The outcome, which does not depend on how the bytes arrive."""
    whole = outcome(role, [data], limits)
    one_by_one = outcome(role, [bytes([byte]) for byte in data], limits)
    assert one_by_one == whole
    for cut in range(1, len(data)) if len(data) < 600 else (1, len(data) // 2, len(data) - 1):
        assert outcome(role, [data[:cut], b"", data[cut:]], limits) == whole
    return whole


def refused(role: Role, data: bytes, limits: Limits | None = None) -> bytes:
    """It is refused without a DISCONNECT (no packet has been agreed on yet); returns the plain text that goes before the close."""
    result = of(role, data, limits)
    assert isinstance(result, tuple)
    reason, plain_text = result
    assert reason is None
    assert not plain_text or (plain_text.endswith(b"\r\n") and plain_text.count(b"\n") == 1 and plain_text.isascii())
    return plain_text


def bytes_until_refusal(reader: IdentificationReader, first: bytes, then: bytes) -> int:
    """How much is taken of one piece and another again and again."""
    taken, piece = 0, first
    while taken < 10**6:
        try:
            assert reader.feed(piece) is None
        except RemoteProtocolError:
            return taken
        taken += len(piece)
        piece = then
    return taken


@both_roles
def test_sm_001_protocol_1_is_told_so(role):
    assert refused(role, b"SSH-1.5-x\r\n")


@both_roles
def test_sm_002_version_1_99_is_2_0(role):
    assert of(role, b"SSH-1.99-x\r\n") == Identification(b"SSH-1.99-x", b"")


@both_roles
@pytest.mark.parametrize("version", [b"3.0", b"2", b"2.00", b"02.0", b"2.1", b"1.9", b"", b"two"])
def test_sm_003_other_versions(role, version):
    refused(role, b"SSH-" + version + b"-x\r\n")


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"\r", b"SSX", b"ssh-2.0-x\r\n", b" SSH-2.0-x\r\n"])
def test_sm_004_other_protocols_to_a_server_are_told_so(start):
    assert refused(SERVER, start)


def test_sm_004_the_first_wrong_byte_is_enough():
    for start in (b"G", b"SG", b"SSG", b"SSHG"):
        assert refused(SERVER, start)


def test_sm_005_a_client_may_send_no_other_line():
    refused(SERVER, b"\r\nSSH-2.0-x\r\n")
    refused(SERVER, b"hello\r\nSSH-2.0-x\r\n")


@both_roles
def test_sm_006_no_software(role):
    refused(role, b"SSH-2.0\r\n")
    refused(role, b"SSH-2.0-\r\n")
    refused(role, b"SSH-\r\n")
    refused(role, b"SSH-2.0-\n")


@both_roles
def test_sm_007_nul(role):
    refused(role, b"SSH-2.0-x\0y\r\n")
    refused(role, b"SSH-2.0-x\0\r\n")


@both_roles
def test_sm_008_cr_without_lf(role):
    refused(role, b"SSH-2.0-x\ry\r\n")
    refused(role, b"SSH-2.0-x\r\r\n")
    refused(role, b"SSH-2.0-x\rSSH-2.0-y\n")


@both_roles
def test_sm_009_lf_only(role):
    assert of(role, b"SSH-2.0-x\n") == Identification(b"SSH-2.0-x", b"")


@both_roles
def test_sm_010_at_most_255_bytes_with_cr_lf(role):
    most = b"SSH-2.0-" + b"x" * 245 + b"\r\n"
    assert len(most) == 255
    assert of(role, most) == Identification(most[:-2], b"")
    refused(role, b"SSH-2.0-" + b"x" * 246 + b"\r\n")
    refused(role, b"SSH-2.0-" + b"x" * 247 + b"\n")
    assert of(role, most[:40] + b"\r\n", Limits(identification_line_bytes=42)) == Identification(most[:40], b"")
    refused(role, most[:40] + b"\r\n", Limits(identification_line_bytes=41))


@both_roles
def test_sm_011_a_line_without_end(role):
    """Refused once it is too long, not once it ends."""
    reader = IdentificationReader(role)
    assert bytes_until_refusal(reader, b"SSH-2.0-" + b"x" * 8, b"x" * 16) <= 256
    refused(role, b"SSH-2.0-" + b"x" * 9000 + b"\r\n")


@both_roles
def test_sm_012_unprintable_bytes(role):
    for byte in (*range(1, 10), *range(11, 32), *range(127, 256)):
        refused(role, b"SSH-2.0-x" + bytes([byte]) + b"y\r\n")


@both_roles
def test_sm_013_byte_by_byte(role):
    reader = IdentificationReader(role)
    line = b"SSH-2.0-slow_1.0 and a comment\r\n"
    assert [reader.feed(line[i : i + 1]) for i in range(len(line) - 1)] == [None] * (len(line) - 1)
    assert reader.feed(b"\n") == Identification(line[:-2], b"")


@both_roles
def test_sm_014_what_follows_in_the_same_segment_is_handed_over(role):
    packets = bytes(range(256)) * 8 + b"SSH-2.0-not_me\r\n"
    assert of(role, b"SSH-2.0-x\r\n" + packets[:80]) == Identification(b"SSH-2.0-x", packets[:80])
    assert IdentificationReader(role).feed(b"SSH-2.0-x\r\n" + packets) == Identification(b"SSH-2.0-x", packets)


def test_sm_015_1024_lines_before_the_identification_and_one_more():
    lines = b"".join(b"welcome %d\r\n" % n for n in range(1024))
    assert of(CLIENT, lines + b"SSH-2.0-x\r\nrest") == Identification(b"SSH-2.0-x", b"rest")
    assert refused(CLIENT, lines + b"one more\r\nSSH-2.0-x\r\n") == b""


def test_sm_015_limits_of_lines_and_their_bytes():
    limits = Limits(identification_pre_lines=2, identification_pre_bytes=20)
    for before in (b"", b"a\n", b"a\r\nb\r\n", b"x" * 19 + b"\n", b"x" * 9 + b"\n" + b"y" * 9 + b"\n", b"\n\n"):
        assert of(CLIENT, before + b"SSH-2.0-x\r\n", limits) == Identification(b"SSH-2.0-x", b"")
    for before in (b"a\nb\nc\n", b"x" * 20 + b"\n", b"x" * 21, b"x" * 9 + b"\n" + b"y" * 11, b"\n\n\n"):
        refused(CLIENT, before + b"SSH-2.0-x\r\n", limits)


def test_sm_015_a19_other_lines_without_end_are_bounded():
    limits = Limits()
    for piece in (b"x" * 1000, b"x" * 100 + b"\n", b"\n"):
        assert bytes_until_refusal(IdentificationReader(CLIENT), piece, piece) <= limits.identification_pre_bytes


def test_sm_015_lines_that_nearly_are_the_identification():
    before = b"SSH\r\nS\nSS\n\nSSx-2.0\r\n xSSH-2.0-y\r\n\xff\xfe\0\r\n"
    assert of(CLIENT, before + b"SSH-2.0-x\r\n") == Identification(b"SSH-2.0-x", b"")


@both_roles
def test_sm_016_half_a_line_is_no_identification(role):
    for end in range(len(b"SSH-2.0-x\r\n")):
        assert outcome(role, [b"SSH-2.0-x\r\n"[:end]]) is None


@both_roles
def test_sm_018_comments_and_trailing_blanks_are_kept(role):
    line = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3  "
    answer = of(role, line + b"\r\n")
    assert answer == Identification(line, b"")
    assert isinstance(answer, Identification)
    assert answer.software == "OpenSSH_9.2p1 Debian-2+deb12u3  "


@both_roles
def test_software_may_have_a_minus(role):
    answer = of(role, b"SSH-2.0-a-b-c\r\n")
    assert isinstance(answer, Identification)
    assert answer.software == "a-b-c"


@given(st.sampled_from(list(Role)), st.lists(st.binary(max_size=50) | st.sampled_from([b"SSH-2.0-", b"\r\n", b"\n", b"SSH-"]), max_size=12))
def test_any_bytes_give_an_identification_a_refusal_or_a_wish_for_more(role, parts):
    assert outcome(role, parts) == outcome(role, [b"".join(parts)])


def test_each_end_understands_the_other():
    for role in Role:
        answer = of(role, identification_line("trio_ssh_0.1") + b"\r\n")
        assert isinstance(answer, Identification)
        assert (answer.line, answer.software) == (identification_line("trio_ssh_0.1"), "trio_ssh_0.1")


def test_what_a_peer_says_is_escaped_in_the_error():
    for role in Role:
        with pytest.raises(RemoteProtocolError) as refusal:
            IdentificationReader(role).feed(b"SSH-2.0-\x1b[31mred\r\n")
        assert "\x1b" not in str(refusal.value)
    with pytest.raises(RemoteProtocolError) as refusal:
        IdentificationReader(SERVER).feed(b"\x1b[31mred\r\n")
    assert "\x1b" not in str(refusal.value)
