"""Whole connections of machines: the handshake and rekeys, in one segment and byte by byte, from either side and from both at once."""

from __future__ import annotations

import contextlib

import pytest

from tests.protocol.ends import REPRESENTATIVE_MODES, End, changed, connected_ends, shuttle, two_ends
from trio_ssh.crypto.suites import DEFAULT_CIPHERS
from trio_ssh.errors import NegotiationError, RemoteProtocolError
from trio_ssh.keys.key import PrivateKey
from trio_ssh.protocol.limits import Limits
from trio_ssh.protocol.negotiation import Algorithms
from trio_ssh.protocol.phases import Phase, Route
from trio_ssh.protocol.role import Role
from trio_ssh.protocol.sealer import Gate
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.transport import ExtInfo, Ignore, KexInit, read_extensions

HOST_KEY = PrivateKey.generate()


def algorithms(mode: tuple[str, str]) -> Algorithms:
    return Algorithms(ciphers=(mode[0],), macs=(mode[1],), kex=("curve25519-sha256",))


def assert_in_step(*ends: End) -> None:
    one, other = ends
    assert one.exchanges
    assert [new.exchange_hash for new in one.exchanges] == [new.exchange_hash for new in other.exchanges]
    assert one.session_id == other.session_id == one.exchanges[0].exchange_hash
    for end, peer in (ends, ends[::-1]):
        assert end.parts.sealer.gate is Gate.OPEN
        assert end.parts.sealer.sequence_number == peer.parts.opener.sequence_number
        assert end.parts.sealer.bytes_under_key == peer.parts.opener.bytes_under_key
        assert end.parts.opener.pending == 0


def talk(one: End, other: End, piece: int | None = None) -> None:
    """Both say something, and hear it."""
    for end, peer in ((one, other), (other, one)):
        said = b"\x5e" + end.role.value.encode() * 50
        end.send(said)
        shuttle(one, other, piece)
        assert peer.received[-1] == (Route.CONNECTION, said)


@pytest.mark.parametrize("mode", REPRESENTATIVE_MODES[1:], ids="/".join)
@pytest.mark.parametrize("piece", [None, 1, 1000])
def test_sm_014_handshake_and_rekeys_in_any_pieces(mode, piece):
    one, other = two_ends(algorithms(mode), algorithms(mode), host_key=HOST_KEY)
    shuttle(one, other, piece)
    assert_in_step(one, other)
    for end in (one, other):
        end.log_in()
    for starters in ((one,), (other,), (one, other), ()):
        talk(one, other, piece)
        for end in starters:
            end.start_exchange()
        shuttle(one, other, piece)
        assert_in_step(one, other)
        assert one.parts.phases.phase is other.parts.phases.phase is Phase.CONNECTION
    assert len(one.exchanges) == 4


def test_sm_014_everything_of_one_side_in_one_segment():
    """SM-014: line, KEXINIT and KEX_INIT before the server has said a word; a server's answer whole as well."""
    client, server = two_ends(host_key=HOST_KEY)
    hello = server.take()
    client.feed(hello)
    segment = client.take()
    server.feed(segment)
    client.feed(server.take())
    server.feed(client.take())
    assert_in_step(client, server)


def test_the_first_packet_of_a_server_is_its_ext_info():
    client, server = two_ends(host_key=HOST_KEY)
    shuttle(client, server)
    assert [route for route, _ in client.received] == [Route.AUTH]
    extensions = read_extensions(decode(ExtInfo, client.received[0][1]).extensions, 64)
    assert extensions["server-sig-algs"] == b"ssh-ed25519"
    assert server.received == []


def test_sm_074_both_begin_at_once_and_it_is_one_exchange():
    one, other = connected_ends(host_key=HOST_KEY)
    for end in (one, other):
        end.start_exchange()
    shuttle(one, other)
    assert_in_step(one, other)
    assert len(one.exchanges) == len(other.exchanges) == 2


def test_sm_067_data_under_way_before_the_peers_kexinit_is_taken():
    one, other = connected_ends(host_key=HOST_KEY)
    other.send(b"\x5eunder way")
    one.start_exchange()
    shuttle(one, other)
    assert one.received == [(Route.CONNECTION, b"\x5eunder way")]
    assert_in_step(one, other)


@pytest.mark.parametrize("late", [b"\x5elate", b"\x5d\0\0\0\0\0\0\0\1", b"\x32late", b"\x05late", b"\xc8"])
def test_sm_066_data_behind_the_peers_kexinit_is_refused(late):
    for role in Role:
        ends = dict(zip((Role.CLIENT, Role.SERVER), connected_ends(host_key=HOST_KEY), strict=True))
        sender, receiver = ends[role], ends[role.peer]
        sender.start_exchange()
        sender.parts.sealer.gate = Gate.OPEN
        sender.send(late)
        with pytest.raises(RemoteProtocolError) as refusal:
            receiver.feed(sender.take())
        assert refusal.value.reason == 2
        assert receiver.received == []


@pytest.mark.parametrize("noise", [b"\x02\0\0\0\0", b"\x03\0\0\0\0", b"\x04\0" + bytes(8)])
def test_sm_034_sm_035_noise_before_the_kexinit(noise):
    """Strict: refused. Not strict: taken. Before the exchange is agreed to be strict, nobody can know."""
    for strict in (True, False):
        client, server = two_ends(host_key=HOST_KEY)
        client.take()
        sealer = client.parts.sealer
        sealer.sequence_number, sealer.gate = 0, Gate.OPEN
        sealer.append_plain(client.line + b"\r\n")
        client.send(noise)
        kexinit = client.ours if strict else encode(Algorithms().kexinit(Role.CLIENT, bytes(16), first=False))
        client.send(kexinit)
        if strict:
            with pytest.raises(RemoteProtocolError) as refusal:
                server.feed(client.take())
            assert refusal.value.reason == 2
        else:
            server.feed(client.take())
            assert server.received == [(Route.NOISE, noise)]
            assert server.parts.phases.phase is Phase.IN_KEX


@pytest.mark.parametrize("strict", [True, False])
def test_sm_059_noise_in_the_exchange(strict):
    client, server = two_ends(host_key=HOST_KEY)
    server_says = server.take()
    client.feed(server_says)
    client.take()
    sealer = client.parts.sealer
    sealer.sequence_number, sealer.gate = 0, Gate.OPEN
    sealer.append_plain(client.line + b"\r\n")
    client.send(encode(Algorithms().kexinit(Role.CLIENT, bytes(16), first=strict)))
    client.send(encode(Ignore(b"")))
    if strict:
        with pytest.raises(RemoteProtocolError):
            server.feed(client.take())
    else:
        server.feed(client.take())
        assert [route for route, _ in server.received] == [Route.NOISE]


@pytest.mark.parametrize("right", [True, False])
def test_sm_051_sm_052_a_guess(right):
    """A client that guesses sends its share at once: a right guess is used, a wrong one skipped, exactly once."""
    server_algorithms = Algorithms(kex=("curve25519-sha256",) if right else ("ecdh-sha2-nistp256", "curve25519-sha256"))
    client, server = two_ends(Algorithms(kex=("curve25519-sha256",)), server_algorithms, host_key=HOST_KEY)
    client.take()
    host_keys = server.algorithms.host_keys
    guessing = changed(
        client.algorithms.kexinit(Role.CLIENT, bytes(16), first=True), first_kex_packet_follows=True, server_host_key_algorithms=host_keys
    )
    client.ours = encode(guessing)
    client.parts.sealer.sequence_number = 0
    client.parts.sealer.append_plain(client.line + b"\r\n")
    client.send(client.ours)
    if not right:
        client.send(b"\x1ejunk of another method")
    client.feed(server.take())
    shuttle(client, server)
    assert_in_step(client, server)


def test_sm_053_newkeys_as_a_wrong_guess():
    """It is skipped like any other, and counts; what comes then must be legal."""
    client, server = two_ends(
        Algorithms(kex=("ecdh-sha2-nistp256",)), Algorithms(kex=("curve25519-sha256", "ecdh-sha2-nistp256")), host_key=HOST_KEY
    )
    client.take()
    sealer = client.parts.sealer
    sealer.sequence_number = 0
    sealer.append_plain(client.line + b"\r\n")
    kexinit = client.algorithms.kexinit(Role.CLIENT, bytes(16), first=True)
    client.send(encode(changed(kexinit, first_kex_packet_follows=True)))
    client.send(b"\x15")
    server.feed(client.take())
    assert server.parts.opener.sequence_number == 2
    assert server.parts.phases.phase is Phase.IN_KEX_STRICT
    client.send(b"\x15")
    with pytest.raises(RemoteProtocolError) as refusal:
        server.feed(client.take())
    assert refusal.value.reason == 2


def test_sm_036_kexinit_twice():
    client, server = two_ends(host_key=HOST_KEY)
    client.send(client.ours)
    with pytest.raises(RemoteProtocolError) as refusal:
        server.feed(client.take())
    assert refusal.value.reason == 2


def test_sm_076_a_rekey_before_login():
    for role in Role:
        ends = dict(zip((Role.CLIENT, Role.SERVER), two_ends(host_key=HOST_KEY), strict=True))
        shuttle(ends[Role.CLIENT], ends[Role.SERVER])
        ends[role].start_exchange()
        with pytest.raises(RemoteProtocolError) as refusal:
            ends[role.peer].feed(ends[role].take())
        assert refusal.value.reason == 2


def test_a12_the_session_id_stays_when_the_hash_changes():
    kex = ["curve25519-sha256", "ecdh-sha2-nistp521", "ecdh-sha2-nistp384", "curve25519-sha256"]
    client, server = connected_ends(Algorithms(kex=kex[:1]), Algorithms(kex=kex), host_key=HOST_KEY)
    for name in kex[1:]:
        client.algorithms = Algorithms(kex=(name,))
        client.parts.negotiator.algorithms = client.algorithms
        client.start_exchange()
        shuttle(client, server)
        assert_in_step(client, server)
        talk(client, server)
    assert [len(new.exchange_hash) for new in server.exchanges] == [32, 64, 48, 32]


def test_a23_rekeys_between_all_ciphers():
    client, server = connected_ends(host_key=HOST_KEY)
    for up in DEFAULT_CIPHERS:
        for down in DEFAULT_CIPHERS:
            client.algorithms = Algorithms(kex=("curve25519-sha256",), ciphers=(up,) if up == down else (up, down))
            client.parts.negotiator.algorithms = client.algorithms
            client.start_exchange()
            server.send(b"\x5eunder way")
            shuttle(client, server)
            talk(client, server)
    assert_in_step(client, server)


@pytest.mark.parametrize("rekey_bytes", [16, 1024, 65536])
def test_asr_04_a_rekey_at_every_wish(rekey_bytes):
    """Whenever a budget asks, an exchange begins; nothing is lost however small it is."""
    client, server = connected_ends(Algorithms(kex=("curve25519-sha256",)), limits=Limits(rekey_bytes=rekey_bytes), host_key=HOST_KEY)
    for number in range(40):
        for end in (client, server):
            end.send(b"\x5e" + bytes([number]) * 4000)
            if end.spent:
                end.spent = 0
                end.start_exchange()
        shuttle(client, server)
    assert_in_step(client, server)
    for end in (client, server):
        assert [payload[1] for _, payload in end.received] == list(range(40))
    assert len(client.exchanges) == len(server.exchanges) > 1


def test_g3_a_bit_that_flips_in_the_handshake():
    """In whatever the client sends before its first key: some end refuses, or both wait for ever; they never agree."""
    once = Algorithms(kex=("curve25519-sha256",))
    client, _ = two_ends(once, host_key=HOST_KEY)
    sent = client.take()
    padding_length = sent[sent.index(b"\n") + 5]  # nobody looks at the padding before there are keys
    for position in range(0, len(sent) - padding_length, 11):
        client, server = two_ends(once, host_key=HOST_KEY)
        damaged = bytearray(client.take())
        damaged[position] ^= 1
        with contextlib.suppress(RemoteProtocolError, NegotiationError):
            server.feed(bytes(damaged))
            shuttle(client, server)
        assert not client.exchanges


def test_a_kexinit_of_ours_is_one_of_theirs():
    client, _ = two_ends(host_key=HOST_KEY)
    assert decode(KexInit, client.ours).kex_algorithms == (*Algorithms().kex_for(Role.CLIENT), "ext-info-c", "kex-strict-c-v00@openssh.com")
