"""Algorithms of a user's own: which names are taken, and a whole connection over one of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs
import pytest
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from tests.crypto import own
from tests.crypto.packets import derive, flip, open_packet, padded_packet, seal
from trio_ssh import algorithms
from trio_ssh.config import SSHConfig, SSHDConfig, ssh_config, sshd_config
from trio_ssh.crypto.suites import AEAD_CIPHERS, cipher_byte_ceiling, is_aead, make_opening_key, make_sealing_key
from trio_ssh.errors import IntegrityError, LocalProtocolError
from trio_ssh.keys.own_types import OWN_KEY_TYPES


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with own.tables_put_back():
        own.register_all()
        yield


def test_everything_public_is_documented():
    assert sorted(algorithms.__all__) == algorithms.__all__
    assert [name for name in algorithms.__all__ if not getattr(algorithms, name).__doc__] == []


# -- a connection -----------------------------------------------------------------------------------------------------------------------

LISTS = {
    "kex": {"kex": ["x25519-sha3-256@example.com"]},
    "AEAD cipher": {"ciphers": ["aes256-gcm-siv@example.com"]},
    "AEAD cipher with keys of its own": {"ciphers": ["aes128-ccm-8@example.com"]},
    "cipher and MAC of our own": {"ciphers": ["chacha20-stream@example.com"], "macs": ["cmac-aes128-etm@example.com"]},
    "cipher of our own, usual MAC": {"ciphers": ["chacha20-stream@example.com"], "macs": ["hmac-sha2-256"]},
    "usual cipher, MAC of our own": {"ciphers": ["aes128-ctr"], "macs": ["hmac-sha3-256@example.com"]},
    "CBC, MAC of our own": {"ciphers": ["aes256-cbc"], "macs": ["cmac-aes128-etm@example.com"]},
    "delayed compression": {"compression": ["bzip2@example.com"]},
    "compression": {"compression": ["bzip2-at-once@example.com"]},
}


@pytest.mark.parametrize("lists", LISTS.values(), ids=LISTS.keys())
async def test_a_connection_runs_over_it(lists, autojump_clock):
    wanted = attrs.evolve(pairs.QUICK, **lists)
    limits = trio_ssh.Limits(rekey_bytes=1 << 16)
    async with pairs.connected(client_algorithms=wanted, server_algorithms=wanted, limits=limits) as ends:
        data = pairs.pattern(300_000)
        result = await ends.client.run_process("echo", input=data)
        assert result.stdout == data
        await ends.client.rekey()
        await pairs.check_works(ends.client)
        agreed = ends.client.negotiated
    assert ends.rekeys()
    named = {
        agreed.kex,
        *(agreed.cipher_client_to_server, agreed.cipher_server_to_client),
        *(agreed.mac_client_to_server, agreed.mac_server_to_client),
        *(agreed.compression_client_to_server, agreed.compression_server_to_client),
    }
    assert {name for names in lists.values() for name in names} <= named


async def test_host_and_user_keys_of_an_own_type(autojump_clock):
    host_key, user_key = (trio_ssh.PrivateKey.generate("ed448@example.com") for _ in range(2))
    wanted = attrs.evolve(pairs.QUICK, host_keys=["ed448@example.com"], signatures=["ed448@example.com"])
    client_stream, server_stream = memory_stream_pair()
    with trio.fail_after(10_000):
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                await trio_ssh.serve_stream(
                    pairs.commands,
                    server_stream,
                    host_keys=[host_key, pairs.HOST_KEY],
                    authenticate=trio_ssh.AuthorizedKeys.of([user_key.public_key]),
                    algorithms=wanted,
                )

            nursery.start_soon(serve)
            async with trio_ssh.connect(
                "server.test",
                stream=client_stream,
                username="ada",
                credentials=[trio_ssh.PrivateKeyCredential(user_key)],
                host_keys=trio_ssh.PinnedKeys([host_key.public_key]),
                algorithms=wanted,
            ) as client:
                assert client.negotiated.host_key == "ed448@example.com"
                assert client.host_key == host_key.public_key
                await pairs.check_works(client)


async def test_own_algorithms_are_not_offered_unless_they_are_named(autojump_clock):
    one = attrs.evolve(pairs.QUICK, ciphers=["aes256-gcm-siv@example.com"])
    with pytest.RaisesGroup(trio_ssh.NegotiationError, flatten_subgroups=True, allow_unwrapped=True):
        async with pairs.connected(client_algorithms=one):
            pass
    usual = trio_ssh.Algorithms()
    offered = [usual.kex or (), usual.host_keys, usual.ciphers, usual.macs, usual.compression, usual.signatures]
    assert not [name for names in offered for name in names if name.endswith("@example.com")]


def test_configuration_files_name_them():
    text = "Ciphers ^aes256-gcm-siv@example.com\nMACs +*@example.com\nKexAlgorithms x25519-sha3-256@example.com\n"
    text += "HostKeyAlgorithms ed448@example.com\n"
    client = SSHConfig.from_text(text).for_host("build.example")
    server = SSHDConfig.from_text(text).settings
    assert client[ssh_config.CIPHERS][0] == server[sshd_config.CIPHERS][0] == "aes256-gcm-siv@example.com"
    assert client[ssh_config.MACS][-2:] == ("hmac-sha3-256@example.com", "cmac-aes128-etm@example.com")
    assert server[sshd_config.KEX_ALGORITHMS] == ("x25519-sha3-256@example.com",)
    assert client[ssh_config.HOST_KEY_ALGORITHMS] == ("ed448@example.com",)


# -- packets under own keys -------------------------------------------------------------------------------------------------------------

KEYS = [
    ("aes256-gcm-siv@example.com", ""),
    ("aes128-ccm-8@example.com", ""),
    ("chacha20-stream@example.com", "cmac-aes128-etm@example.com"),
    ("chacha20-stream@example.com", "hmac-sha3-256@example.com"),
]


@pytest.mark.parametrize(("cipher", "mac"), KEYS)
def test_packets_come_through_and_damage_is_found(cipher, mac):
    sealing = make_sealing_key(cipher, mac, derive, client_to_server=True)
    packets = [padded_packet(sealing, bytes(size)) for size in (0, 1, 100, 5000)]
    wires = [seal(sealing, packet, number) for number, packet in enumerate(packets)]
    opening = make_opening_key(cipher, mac, derive, client_to_server=True)
    for number, (packet, wire) in enumerate(zip(packets, wires, strict=True)):
        assert open_packet(opening, wire, number) == packet[4:]
    for bit in range(8 * len(wires[0])):
        opening = make_opening_key(cipher, mac, derive, client_to_server=True)
        with pytest.raises(IntegrityError):
            open_packet(opening, flip(wires[0], bit), 0, packet_length=len(packets[0]) - 4)


def test_the_tables_know_their_figures():
    assert is_aead("aes256-gcm-siv@example.com")
    assert is_aead("aes128-ccm-8@example.com")
    assert not is_aead("chacha20-stream@example.com")
    assert cipher_byte_ceiling("aes256-gcm-siv@example.com") == 1 << 36
    assert cipher_byte_ceiling("chacha20-stream@example.com") == 1 << 30


# -- names ------------------------------------------------------------------------------------------------------------------------------


def register_cipher(name: str) -> None:
    algorithms.register_cipher(attrs.evolve(own.GCM_SIV, name=name))


def register_key_type(name: str) -> None:
    algorithms.register_key_type(attrs.evolve(own.ED448, name=name, algorithms=("signature@example.com",)))


def register_signature_algorithm(name: str) -> None:
    algorithms.register_key_type(attrs.evolve(own.ED448, name="key@example.com", algorithms=(name,)))


REGISTER: dict[str, Callable[[str], None]] = {
    "kex": lambda name: algorithms.register_kex(attrs.evolve(own.KEX_RECIPE, name=name)),
    "AEAD cipher": register_cipher,
    "cipher": lambda name: algorithms.register_cipher(attrs.evolve(own.STREAM, name=name)),
    "MAC": lambda name: algorithms.register_mac(attrs.evolve(own.CMAC_AES, name=name)),
    "compression": lambda name: algorithms.register_compression(attrs.evolve(own.BZIP2, name=name)),
    "key type": register_key_type,
    "signature algorithm": register_signature_algorithm,
}
every_kind = pytest.mark.parametrize("register", REGISTER.values(), ids=REGISTER.keys())

BAD_NAMES = [
    "",
    "plain",
    "@example.com",
    "name@",
    "name@example",
    "name@example.",
    "name@.com",
    "name@-example.com",
    "two@signs@example.com",
    "a,b@example.com",
    "with blank@example.com",
    "line\n@example.com",
    "name@example.com\n",
    "nul\0@example.com",
    "ümlaut@example.com",
    "name@exämple.com",
    "x" * 53 + "@example.com",
]


@every_kind
def test_bad_names_are_refused(register):
    for name in BAD_NAMES:
        with pytest.raises(LocalProtocolError, match="cannot be the name of a"):
            register(name)
    register("x" * 52 + "@example.com")  # of 64 characters


TAKEN = {
    "kex": ["curve25519-sha256@libssh.org", "x25519-sha3-256@example.com", "kex-strict-c-v00@openssh.com"],
    "AEAD cipher": ["chacha20-poly1305@openssh.com", "aes256-gcm-siv@example.com", "chacha20-stream@example.com"],
    "cipher": ["aes128-gcm@openssh.com", "aes256-gcm-siv@example.com", "chacha20-stream@example.com"],
    "MAC": ["hmac-sha2-256-etm@openssh.com", "cmac-aes128-etm@example.com"],
    "compression": ["zlib@openssh.com", "bzip2@example.com"],
    "key type": ["ed448@example.com"],
    "signature algorithm": ["ed448@example.com"],
}


@pytest.mark.parametrize("kind", TAKEN)
def test_names_in_use_are_refused(kind):
    for name in TAKEN[kind]:
        with pytest.raises(LocalProtocolError, match="already: choose another name"):
            REGISTER[kind](name)


def test_a_refused_key_type_leaves_nothing_behind():
    with pytest.raises(LocalProtocolError):
        register_signature_algorithm("ed448@example.com")
    assert "key@example.com" not in OWN_KEY_TYPES
    with pytest.raises(ValueError, match="there is no key of kind"):
        trio_ssh.PrivateKey.generate("key@example.com")


@pytest.mark.parametrize(
    "call",
    [
        lambda: algorithms.register_cipher(attrs.evolve(own.STREAM, name="new@example.com", block_bytes=12)),
        lambda: algorithms.register_cipher(attrs.evolve(own.GCM_SIV, name="new@example.com", byte_ceiling=0)),
        lambda: algorithms.register_mac(attrs.evolve(own.CMAC_AES, name="new@example.com", tag_bytes=4)),
        lambda: algorithms.register_compression(attrs.evolve(own.BZIP2, name="new@example.com", compressor=None)),
        lambda: algorithms.register_key_type(attrs.evolve(own.ED448, name="new@example.com", algorithms=())),
        lambda: algorithms.register_key_type(attrs.evolve(own.ED448, name="new@example.com", algorithms=("s@example.com",) * 2)),
    ],
)
def test_recipes_that_cannot_be_are_refused(call):
    with pytest.raises(LocalProtocolError, match=r"^new@example\.com: "):
        call()


def test_a_name_that_is_not_registered_is_no_algorithm():
    with own.tables_put_back():
        del AEAD_CIPHERS["aes256-gcm-siv@example.com"]
        with pytest.raises(LocalProtocolError, match="is not supported"):
            trio_ssh.Algorithms(ciphers=["aes256-gcm-siv@example.com"])
