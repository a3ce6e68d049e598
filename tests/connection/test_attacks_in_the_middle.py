"""A02 and A30: who sits between two of our ends and injects, cuts or edits what he cannot read gets nothing but the connection's end."""

from __future__ import annotations

import pytest

import trio_ssh
from tests.connection.middle import CLEAR, LINE, SEALED, as_it_is, clear_packet, meet, payload_of
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Debug, Ignore, Unimplemented

CIPHERS = {
    "gcm": (trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=("aes128-gcm@openssh.com",)), 16),
    "ctr-etm": (trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=("aes128-ctr",), macs=("hmac-sha2-256-etm@openssh.com",)), 32),
    "chacha20": (trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=("chacha20-poly1305@openssh.com",)), None),
}
EACH_CIPHER = pytest.mark.parametrize(("algorithms", "tag_bytes"), CIPHERS.values(), ids=list(CIPHERS))
DIRECTIONS = pytest.mark.parametrize("direction", ["up", "down"])

NOISE = {"IGNORE": Ignore(b""), "DEBUG": Debug(False, ""), "UNIMPLEMENTED": Unimplemented(0)}


@EACH_CIPHER
async def test_the_man_himself_does_no_harm(autojump_clock, algorithms, tag_bytes):
    """The control: with everything let through, all goes well."""
    meeting = await meet(as_it_is, algorithms, tag_bytes)
    assert meeting.logged_in
    assert meeting.client.error is None
    kinds = [(direction, kind) for direction, kind, _ in meeting.middle.seen]
    assert kinds.count(("up", LINE)) == kinds.count(("down", LINE)) == 1
    assert kinds.count(("down", CLEAR)) == 3


@EACH_CIPHER
@DIRECTIONS
@pytest.mark.parametrize("noise", NOISE.values(), ids=list(NOISE))
@pytest.mark.parametrize("number", [M.KEXINIT, M.NEWKEYS, 30], ids=["before KEXINIT", "before NEWKEYS", "before the share"])
async def test_a02_a_packet_injected_makes_up_for_one_that_is_cut(autojump_clock, algorithms, tag_bytes, direction, noise, number):
    """Terrapin: one more packet in clear, so that the loss of the first sealed one would shift no number. The server's first sealed packet
    is its EXT_INFO, the client's too. Nobody is let in, nobody is asked."""
    wanted = 31 if number == 30 and direction == "down" else int(number)
    done: list[str] = []

    def edit(way: str, kind: str, data: bytes) -> bytes:
        if way == direction and kind == CLEAR and payload_of(data)[0] == wanted and "injected" not in done:
            done.append("injected")
            return clear_packet(encode(noise)) + data
        if way == direction and kind == SEALED and "cut" not in done:
            done.append("cut")
            return b""
        return data

    meeting = await meet(edit, algorithms, tag_bytes)
    assert "injected" in done
    meeting.check_nobody_was_let_in()


@EACH_CIPHER
@DIRECTIONS
async def test_a02_the_first_sealed_packet_is_cut(autojump_clock, algorithms, tag_bytes, direction):
    """Without anything injected either: what comes next does not open."""
    cut: list[bytes] = []

    def edit(way: str, kind: str, data: bytes) -> bytes:
        if way == direction and kind == SEALED and not cut:
            cut.append(data)
            return b""
        return data

    meeting = await meet(edit, algorithms, tag_bytes)
    assert cut
    meeting.check_nobody_was_let_in()


@EACH_CIPHER
@DIRECTIONS
async def test_a02_many_injected_and_many_cut(autojump_clock, algorithms, tag_bytes, direction):
    count = 3
    cut: list[bytes] = []

    def edit(way: str, kind: str, data: bytes) -> bytes:
        if way == direction and kind == CLEAR and payload_of(data)[0] == M.NEWKEYS:
            return clear_packet(encode(Ignore(b""))) * count + data
        if way == direction and kind == SEALED and len(cut) < count:
            cut.append(data)
            return b""
        return data

    (await meet(edit, algorithms, tag_bytes)).check_nobody_was_let_in()


STRICT = {"up": b"kex-strict-c-v00@openssh.com", "down": b"kex-strict-s-v00@openssh.com"}


@DIRECTIONS
@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
async def test_a02_a30_the_strict_marker_is_edited_away(autojump_clock, direction, both):
    """What would make the attack possible is itself signed for."""

    def edit(way: str, kind: str, data: bytes) -> bytes:
        if kind == CLEAR and payload_of(data)[0] == M.KEXINIT and (both or way == direction):
            return data.replace(STRICT[way], b"x" * len(STRICT[way]))
        return data

    meeting = await meet(edit)
    meeting.check_nobody_was_let_in()
    assert any("signature" in str(error) for error in (meeting.client.error, meeting.server.error))


@DIRECTIONS
async def test_a30_each_byte_of_a_kexinit(autojump_clock, direction):
    """One bit of each byte: cookie, names, commas, lengths, the flag, the reserved field. What still is a KEXINIT that both can agree on
    is caught by the signature; the rest is refused before. Nobody is ever asked."""
    sizes = [len(payload_of(data)) for way, kind, data in (await meet(as_it_is)).middle.seen if (way, kind) == (direction, CLEAR)]
    refused = []
    for position in range(1, sizes[0], 2):

        def edit(way: str, kind: str, data: bytes, position: int = position) -> bytes:
            if way == direction and kind == CLEAR and payload_of(data)[0] == M.KEXINIT:
                return data[: 5 + position] + bytes([data[5 + position] ^ 1]) + data[6 + position :]
            return data

        meeting = await meet(edit)
        meeting.check_nobody_was_let_in()
        if "signature" in str(meeting.client.error):
            refused.append(position)
    assert set(range(1, 17, 2)) <= set(refused)  # the cookie, whatever it is
    assert sizes[0] - 1 in refused or sizes[0] - 2 in refused  # the reserved field


@DIRECTIONS
async def test_a30_each_byte_of_an_identification(autojump_clock, direction):
    """Names of software, changed one by one, and bytes added at its end; the line's own shape is another matter."""
    line = next(data for way, kind, data in (await meet(as_it_is)).middle.seen if (way, kind) == (direction, LINE))
    text = line.rstrip(b"\r\n")
    changed = [text[:n] + bytes([text[n] ^ 1]) + text[n + 1 :] for n in range(len(text))]
    for instead in (*changed, text + b" comment", text + b" ", text[:-1]):

        def edit(way: str, kind: str, data: bytes, instead: bytes = instead) -> bytes:
            return instead + b"\r\n" if (way, kind) == (direction, LINE) else data

        meeting = await meet(edit)
        meeting.check_nobody_was_let_in()
        if instead.startswith(b"SSH-2.0-t"):
            assert "signature" in str(meeting.client.error), instead


async def test_a30_line_ends_are_no_part_of_what_is_signed(autojump_clock):
    """RFC 4253 §8: V_C and V_S without CR and LF."""

    def edit(way: str, kind: str, data: bytes) -> bytes:
        return data.replace(b"\r\n", b"\n") if kind == LINE else data

    assert (await meet(edit)).logged_in
