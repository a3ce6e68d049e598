"""Our packets and key exchanges against AsyncSSH's: an implementation by other hands, in both directions."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import pytest
from asyncssh.encryption import Encryption, get_encryption
from asyncssh.kex import get_kex
from asyncssh.packet import Byte, MPInt, SSHPacket, String

from tests.crypto.packets import COMBINATIONS, derive, key_pair, open_packet, padded_packet, seal
from trio_ssh.crypto.kex import KEX, KexRecipe
from trio_ssh.crypto.suites import AEAD_CIPHERS, CIPHERS, MACS, derive_keys
from trio_ssh.wire.primitives import read_string

# AsyncSSH passes on what cryptography says about finite-field groups.
pytestmark = pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")

PAYLOADS = [b"", b"x", bytes(range(256)), b"payload " * 500, b"", bytes(32768)]


def theirs(cipher: str, mac: str) -> Encryption:
    recipe = AEAD_CIPHERS.get(cipher) or CIPHERS[cipher]
    is_aead = cipher in AEAD_CIPHERS
    mac_key = b"" if is_aead else derive(b"E", MACS[mac].key_bytes)
    mac_name = b"" if is_aead else mac.encode()
    etm = is_aead or "etm" in mac
    return get_encryption(cipher.encode(), derive(b"C", recipe.key_bytes), derive(b"A", recipe.iv_bytes), mac_name, mac_key, etm)


@pytest.mark.parametrize(("cipher", "mac"), COMBINATIONS)
def test_they_open_what_we_seal(cipher, mac):
    sealing, opening = key_pair(cipher, mac)
    their_key = theirs(cipher, mac)
    for sequence_number, payload in enumerate(PAYLOADS, start=3):
        packet = padded_packet(sealing, payload)
        wire = seal(sealing, packet, sequence_number)
        head, tag_at = opening.head_bytes, len(packet)
        first, length = their_key.decrypt_header(sequence_number, wire[:head], 4)
        assert int.from_bytes(length, "big") == len(packet) - 4
        assert their_key.decrypt_packet(sequence_number, first, wire[head:tag_at], 4, wire[tag_at:]) == packet[4:]


@pytest.mark.parametrize(("cipher", "mac"), COMBINATIONS)
def test_we_open_what_they_seal(cipher, mac):
    _, opening = key_pair(cipher, mac)
    their_key = theirs(cipher, mac)
    for sequence_number, payload in enumerate(PAYLOADS, start=3):
        packet = padded_packet(opening, payload)
        sealed, tag = their_key.encrypt_packet(sequence_number, packet[:4], packet[4:])
        assert open_packet(opening, sealed + tag, sequence_number) == packet[4:]


@attrs.define
class FakeConnection:
    """As much of a connection as AsyncSSH's key exchange asks for: it keeps what would have been sent and what came out."""

    client: bool
    logger: logging.Logger = attrs.field(factory=lambda: logging.getLogger("fake"))
    sent: list[tuple[int, tuple[bytes, ...]]] = attrs.field(factory=list)
    secret: bytes = b""

    def is_client(self) -> bool:
        return self.client

    def is_server(self) -> bool:
        return not self.client

    def send_packet(self, number: int, *fields: bytes, handler: Any = None) -> None:
        self.sent.append((number, fields))

    def send_newkeys(self, secret: bytes, exchange_hash: bytes) -> None:
        self.secret = secret

    def get_hash_prefix(self) -> bytes:
        return b""

    def get_server_host_key(self) -> FakeConnection:
        return self

    def validate_server_host_key(self, blob: bytes) -> FakeConnection:
        return self

    def enable_gss_kex_auth(self) -> None:
        """Not asked for here."""

    public_data = b"host key"

    def sign(self, data: bytes) -> bytes:
        return b"signature"

    def verify(self, data: bytes, signature: bytes) -> bool:
        return True


def direct(name: str) -> KexRecipe:
    """A method that needs no group to be chosen first."""
    recipe = KEX[name]
    assert isinstance(recipe, KexRecipe)
    return recipe


def packet_of(number: int, *fields: bytes) -> SSHPacket:
    packet = SSHPacket(Byte(number) + b"".join(fields))
    packet.get_byte()
    return packet


every_direct_method = pytest.mark.parametrize("name", [name for name, recipe in KEX.items() if isinstance(recipe, KexRecipe)])


@every_direct_method
async def test_we_start_and_they_respond(name):
    share = direct(name).start_client()
    connection = FakeConnection(client=False)
    kex: Any = get_kex(connection, name.encode())  # type: ignore[arg-type]
    kex.process_packet(30, None, packet_of(30, String(share.public)))  # an mpint's bytes are wrapped as a string's are
    number, (_, public_field, _) = connection.sent[0]
    assert number == 31
    server_public, _ = read_string(public_field, 0)
    assert share.finish(server_public) == connection.secret


@every_direct_method
async def test_they_start_and_we_respond(name):
    connection = FakeConnection(client=True)
    kex: Any = get_kex(connection, name.encode())  # type: ignore[arg-type]
    await kex.start()
    number, (client_field,) = connection.sent[0]
    assert number == 30
    client_public, _ = read_string(client_field, 0)
    server_public, secret = direct(name).respond(client_public)
    kex.process_packet(31, None, packet_of(31, String(b"host key"), String(server_public), String(b"signature")))
    assert connection.secret == secret


@pytest.mark.parametrize("name", [name for name in KEX if "group" not in name])
def test_they_derive_the_keys_we_derive(name):
    kex: Any = get_kex(FakeConnection(client=True), name.encode())  # type: ignore[arg-type]
    secret, exchange_hash, session_id = MPInt(2**255 + 12345), b"H" * 48, b"S" * 64
    for letter in (b"A", b"B", b"C", b"D", b"E", b"F"):
        for size in (1, 12, 16, 32, 64, 65, 200):
            ours = derive_keys(KEX[name].hash_name, secret, exchange_hash, session_id, letter, size)
            assert ours == kex.compute_key(secret, exchange_hash, letter, session_id, size)
