"""Key exchanges between a client and a server state: every method with every host key; whatever is tampered with is refused."""

from __future__ import annotations

import hashlib
import struct
from functools import cache

import attrs
import pytest

from tests.crypto.packets import COMBINATIONS, open_packet, padded_packet, seal
from tests.protocol.ends import changed
from trio_ssh.crypto.kex import KEX
from trio_ssh.crypto.suites import supported_kex
from trio_ssh.errors import DecodeError, IntegrityError, KeyExchangeError, LocalProtocolError
from trio_ssh.keys.key import PrivateKey
from trio_ssh.keys.signature import DEFAULT_HOST_KEY_ALGORITHMS, KEY_TYPE_OF_ALGORITHM
from trio_ssh.protocol.key_exchange import ExpectKexReply, ExpectNewKeys, Transcript, is_group_exchange, start_client, start_server
from trio_ssh.protocol.negotiation import Negotiated
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.transport import KexEcdhInit, KexEcdhReply

FAST_KEX = "curve25519-sha256"
TRANSCRIPT = Transcript(
    client_line=b"SSH-2.0-client", server_line=b"SSH-2.0-server", client_kexinit=b"\x14client's kexinit", server_kexinit=b"\x14server's"
)


@cache
def host_key_for(algorithm: str) -> PrivateKey:
    key_type = KEY_TYPE_OF_ALGORITHM[algorithm]
    if key_type == "ssh-rsa":
        return rsa_key()
    if key_type.startswith("ecdsa"):
        return PrivateKey.generate("ecdsa", int(key_type[-3:]))
    if key_type == "ssh-ed448":
        return PrivateKey.generate("ed448")
    return PrivateKey.generate()


@cache
def rsa_key() -> PrivateKey:
    return PrivateKey.generate("rsa", 2048)


def negotiated(kex: str = FAST_KEX, host_key: str = "ssh-ed25519", cipher: str = "aes128-ctr", mac: str = "hmac-sha2-256") -> Negotiated:
    return Negotiated(
        kex=kex,
        host_key=host_key,
        cipher_client_to_server=cipher,
        cipher_server_to_client=cipher,
        mac_client_to_server=mac,
        mac_server_to_client=mac,
        compression_client_to_server="none",
        compression_server_to_client="none",
        strict_kex=True,
        ext_info=True,
    )


TWO_MESSAGES = [name for name in supported_kex() if not is_group_exchange(name)]


def exchange(agreed: Negotiated, host_key: PrivateKey | None = None) -> tuple[ExpectNewKeys, ExpectNewKeys]:
    """Both ends' results."""
    init, client = start_client(TRANSCRIPT, agreed)
    reply, of_server = start_server(TRANSCRIPT, agreed, host_key or host_key_for(agreed.host_key)).receive(init)
    return client.receive(reply).trusted(), of_server


@pytest.mark.parametrize("algorithm", DEFAULT_HOST_KEY_ALGORITHMS)
@pytest.mark.parametrize("kex", TWO_MESSAGES)
def test_both_ends_agree(kex, algorithm):
    of_client, of_server = exchange(negotiated(kex, algorithm))
    assert (of_client.secret, of_client.exchange_hash) == (of_server.secret, of_server.exchange_hash)
    assert of_client.host_key == of_server.host_key == host_key_for(algorithm).public_key
    assert len(of_client.exchange_hash) == {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}[KEX[kex].hash_name]


@pytest.mark.parametrize(("cipher", "mac"), COMBINATIONS)
def test_keys_fit_in_both_directions_and_in_no_other(cipher, mac):
    ends = dict(zip((Role.CLIENT, Role.SERVER), exchange(negotiated(cipher=cipher, mac=mac)), strict=True))
    session_id = ends[Role.CLIENT].exchange_hash
    wires = {}
    for role in Role:
        sealing = ends[role].sealing_key(role, session_id)
        packet = padded_packet(sealing, b"\x02from " + role.value.encode())
        wires[role] = seal(sealing, packet, 0)
        assert open_packet(ends[role.peer].opening_key(role.peer, session_id), wires[role], 0) == packet[4:]
        for other in (ends[role].opening_key(role, session_id), ends[role.peer].opening_key(role.peer, bytes(len(session_id)))):
            with pytest.raises(IntegrityError):
                open_packet(other, wires[role], 0, packet_length=len(packet) - 4)
    assert wires[Role.CLIENT] != wires[Role.SERVER]


def test_the_exchange_hash_is_that_of_rfc_4253():
    """§8, put together by hand."""

    def s(content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + content

    init, client = start_client(TRANSCRIPT, negotiated())
    reply, result = start_server(TRANSCRIPT, negotiated(), host_key_for("ssh-ed25519")).receive(init)
    parts = decode(KexEcdhReply, reply)
    t = TRANSCRIPT
    text = b"".join(
        map(
            s,
            (
                t.client_line,
                t.server_line,
                t.client_kexinit,
                t.server_kexinit,
                parts.host_key,
                decode(KexEcdhInit, init).client_public,
                parts.server_public,
            ),
        )
    )
    assert hashlib.sha256(text + result.secret).digest() == result.exchange_hash
    assert client.receive(reply).host_key.verify("ssh-ed25519", parts.signature, result.exchange_hash)


def test_each_exchange_has_a_secret_of_its_own():
    first, second = (exchange(negotiated())[0] for _ in range(2))
    assert first.secret != second.secret
    assert first.exchange_hash != second.exchange_hash


@pytest.mark.parametrize("part", ["client_line", "server_line", "client_kexinit", "server_kexinit"])
def test_a30_every_byte_of_the_transcript_is_signed(part):
    """One byte changed, added or missing in what one end has seen: the client refuses the signature."""
    genuine: bytes = getattr(TRANSCRIPT, part)
    init, client = start_client(TRANSCRIPT, negotiated())
    changed = [genuine[:n] + bytes([genuine[n] ^ 1]) + genuine[n + 1 :] for n in range(len(genuine))]
    for text in (*changed, genuine + b"\r", genuine + b"\r\n", genuine[:-1], b""):
        seen = attrs.evolve(TRANSCRIPT, **{part: text})
        reply, _ = start_server(seen, negotiated(), host_key_for("ssh-ed25519")).receive(init)
        assert refused(client, reply) == 3


def test_a30_bytes_do_not_move_between_the_parts():
    """The parts are hashed with their lengths."""
    init, client = start_client(TRANSCRIPT, negotiated())
    moved = attrs.evolve(TRANSCRIPT, client_line=TRANSCRIPT.client_line + b"S", server_line=TRANSCRIPT.server_line[1:])
    reply, _ = start_server(moved, negotiated(), host_key_for("ssh-ed25519")).receive(init)
    assert refused(client, reply) == 3


def refused(client: ExpectKexReply, reply: bytes) -> int | None:
    """The reason with which the client ends the connection; `DecodeError` is as good where lengths are damaged."""
    with pytest.raises((KeyExchangeError, DecodeError)) as refusal:
        client.receive(reply)
    return refusal.value.reason


def client_and_reply(kex: str = FAST_KEX, algorithm: str = "ssh-ed25519") -> tuple[ExpectKexReply, KexEcdhReply]:
    agreed = negotiated(kex, algorithm)
    init, client = start_client(TRANSCRIPT, agreed)
    reply, _ = start_server(TRANSCRIPT, agreed, host_key_for(algorithm)).receive(init)
    return client, decode(KexEcdhReply, reply)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :]


@pytest.mark.parametrize("kex", TWO_MESSAGES)
def test_sm_063_sm_069_a_share_that_was_changed_on_the_way(kex):
    """The server's on its way to the client, and the client's on its way to the server."""
    client, reply = client_and_reply(kex)
    for at in (1, len(reply.server_public) // 2, len(reply.server_public) - 1):
        assert refused(client, encode(changed(reply, server_public=flipped(reply.server_public, at)))) == 3
    agreed = negotiated(kex)
    init, client = start_client(TRANSCRIPT, agreed)
    share = decode(KexEcdhInit, init).client_public
    server = start_server(TRANSCRIPT, agreed, host_key_for("ssh-ed25519"))
    try:
        answer, _ = server.receive(encode(KexEcdhInit(flipped(share, len(share) - 1))))
    except KeyExchangeError:
        return  # the server has seen it by itself
    assert refused(client, answer) == 3


def shares_that_are_none(kex: str, genuine: bytes) -> list[bytes]:
    """Of no length, of another length, all zero, all ones: where that is not a valid number of the method."""
    wrong = [b"", b"\0", b"\x01", bytes(len(genuine)), genuine + bytes(8), b"\0" + genuine, bytes(40_000)]
    if not kex.startswith("curve"):  # RFC 7748 §5 takes any 32 or 56 bytes
        wrong.append(b"\xff" * len(genuine))
    if not kex.startswith("diffie-hellman"):  # a shorter number is a number
        wrong.append(genuine[:-1])
    return wrong


@pytest.mark.parametrize("kex", TWO_MESSAGES)
def test_sm_063_sm_064_sm_065_a14_shares_that_are_none(kex):
    """Both ends refuse them with D(3)."""
    agreed = negotiated(kex)
    init, _ = start_client(TRANSCRIPT, agreed)
    for wrong in shares_that_are_none(kex, decode(KexEcdhInit, init).client_public):
        with pytest.raises(KeyExchangeError) as refusal:
            start_server(TRANSCRIPT, agreed, host_key_for("ssh-ed25519")).receive(encode(KexEcdhInit(wrong)))
        assert refusal.value.reason == 3
    client, reply = client_and_reply(kex)
    for wrong in shares_that_are_none(kex, reply.server_public):
        assert refused(client, encode(changed(reply, server_public=wrong))) == 3


@pytest.mark.parametrize("algorithm", DEFAULT_HOST_KEY_ALGORITHMS)
def test_sm_069_a07_signatures_that_are_not_the_host_keys(algorithm):
    client, reply = client_and_reply(FAST_KEX, algorithm)
    signature = reply.signature
    other_key = PrivateKey.generate("ecdsa", int(algorithm[-3:])) if algorithm.startswith("ecdsa") else PrivateKey.generate()
    cases = [
        *(flipped(signature, at) for at in range(0, len(signature), 7)),
        b"",
        signature[:-1],
        signature + b"\0",
        other_key.sign(other_key.public_key.signature_algorithms[0], b"whatever"),
        host_key_for(algorithm).sign(algorithm, b"another exchange hash"),
    ]
    for wrong in cases:
        assert refused(client, encode(changed(reply, signature=wrong))) == 3
    assert client.receive(encode(reply)).host_key == host_key_for(algorithm).public_key


def test_sm_069_b13_a_host_key_of_another_algorithm_than_was_agreed():
    """Each key with each algorithm: only those that belong together pass."""
    for agreed in DEFAULT_HOST_KEY_ALGORITHMS:
        for shown in DEFAULT_HOST_KEY_ALGORITHMS:
            init, client = start_client(TRANSCRIPT, negotiated(host_key=agreed))
            key = host_key_for(shown)
            reply, _ = start_server(TRANSCRIPT, negotiated(host_key=shown), key).receive(init)
            if agreed == shown:
                client.receive(reply)
            else:
                assert refused(client, reply) == 3


def test_sm_069_host_keys_that_are_none():
    client, reply = client_and_reply()
    for wrong in (b"", b"junk", reply.host_key[:-1], reply.host_key + b"\0", struct.pack(">I", 2**32 - 1) + b"ssh-ed25519"):
        assert refused(client, encode(changed(reply, host_key=wrong))) == 3


def test_the_messages_are_read_strictly():
    client, reply = client_and_reply()
    payload = encode(reply)
    for wrong in (*(payload[:end] for end in range(len(payload))), payload + b"\0"):
        assert refused(client, wrong) == 3
    init, _ = start_client(TRANSCRIPT, negotiated())
    server = start_server(TRANSCRIPT, negotiated(), host_key_for("ssh-ed25519"))
    for wrong in (*(init[:end] for end in range(len(init))), init + b"\0"):
        with pytest.raises(KeyExchangeError):
            server.receive(wrong)


def test_a_server_never_signs_by_an_algorithm_its_key_does_not_have():
    init, _ = start_client(TRANSCRIPT, negotiated(host_key="rsa-sha2-512"))
    with pytest.raises(LocalProtocolError):
        start_server(TRANSCRIPT, negotiated(host_key="rsa-sha2-512"), host_key_for("ssh-ed25519")).receive(init)


def test_secrets_do_not_show():
    of_client, _ = exchange(negotiated())
    assert repr(of_client.secret) not in repr(of_client)
    assert of_client.secret.hex() not in repr(of_client)
