"""The tables, the default orders and the derivation of keys from K and H."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.packets import key_pair
from trio_ssh.crypto import suites
from trio_ssh.crypto.kex import KEX, KexRecipe, digest
from trio_ssh.crypto.suites import cipher_byte_ceiling, derive_keys, is_aead, make_opening_key, make_sealing_key


def test_default_orders():
    assert suites.DEFAULT_CIPHERS[:3] == ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")
    assert suites.DEFAULT_CIPHERS[3:] == ("aes128-ctr", "aes192-ctr", "aes256-ctr")
    assert suites.DEFAULT_MACS == ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
    assert suites.DEFAULT_COMPRESSION == ("none", "zlib@openssh.com")
    assert suites.DEFAULT_KEX == (
        "mlkem768x25519-sha256",
        "mlkem768nistp256-sha256",
        "mlkem1024nistp384-sha384",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group-exchange-sha256",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
        "diffie-hellman-group14-sha256",
    )
    assert set(suites.CLIENT_ONLY_KEX) <= set(suites.DEFAULT_KEX)


PAIRS = [
    (suites.DEFAULT_CIPHERS, suites.supported_ciphers),
    (suites.DEFAULT_MACS, suites.supported_macs),
    (suites.DEFAULT_KEX, suites.supported_kex),
    (suites.DEFAULT_COMPRESSION, suites.supported_compression),
]


@pytest.mark.parametrize(("defaults", "supported"), PAIRS)
def test_what_is_offered_is_supported_and_named_once(defaults, supported):
    assert set(defaults) <= set(supported())
    assert len(set(defaults)) == len(defaults)
    assert len(set(supported())) == len(supported())


LEGACY = {
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
    "3des-cbc",
    "hmac-sha1",
    "hmac-sha1-etm@openssh.com",
    "curve448-sha512",
    "diffie-hellman-group15-sha512",
    "diffie-hellman-group17-sha512",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group-exchange-sha1",
    "zlib",
}


def test_what_is_off_by_default():
    assert {name for _, supported in PAIRS for name in supported()} - {name for defaults, _ in PAIRS for name in defaults} == LEGACY


def test_a01_never_supported():
    # Hardening decision 3, and A01: nothing that was ever broken outright can be asked for.
    named = {name for _, supported in PAIRS[:3] for name in supported()}
    assert not [name for name in named if any(part in name for part in ("none", "arcfour", "group1-", "md5", "-96", "blowfish"))]


@pytest.mark.parametrize("cipher", suites.supported_ciphers())
def test_byte_ceilings(cipher):
    assert cipher_byte_ceiling(cipher) == (2**30 if cipher.startswith(("chacha20", "3des")) else 2**36)
    assert is_aead(cipher) is not cipher.endswith(("-ctr", "-cbc"))


def test_unknown_names_are_key_errors():
    def derive(letter: bytes, size: int) -> bytes:
        return bytes(size)

    for make in (make_sealing_key, make_opening_key):
        with pytest.raises(KeyError):
            make("rot13", "hmac-sha2-256", derive, True)
        with pytest.raises(KeyError):
            make("aes128-ctr", "hmac-md4", derive, True)
    with pytest.raises(KeyError):
        cipher_byte_ceiling("rot13")


def test_the_mac_is_not_looked_at_with_an_aead_cipher():
    key_pair("aes128-gcm@openssh.com", "no such thing")


KEY_SIZES = {
    "aes128-gcm@openssh.com": (16, 12),
    "aes256-gcm@openssh.com": (32, 12),
    "chacha20-poly1305@openssh.com": (64, 0),
    "aes128-ctr": (16, 16),
    "aes192-ctr": (24, 16),
    "aes256-ctr": (32, 16),
    "aes128-cbc": (16, 16),
    "aes192-cbc": (24, 16),
    "aes256-cbc": (32, 16),
    "3des-cbc": (24, 8),
}


@pytest.mark.parametrize("cipher", suites.supported_ciphers())
@pytest.mark.parametrize(("client_to_server", "letters"), [(True, b"ACE"), (False, b"BDF")])
@pytest.mark.parametrize("make", [make_sealing_key, make_opening_key])
def test_which_key_material_is_asked_for(cipher, client_to_server, letters, make):
    asked: dict[bytes, int] = {}

    def derive(letter: bytes, size: int) -> bytes:
        asked[letter] = size
        return bytes(size)

    make(cipher, "hmac-sha2-512", derive, client_to_server)
    key_bytes, iv_bytes = KEY_SIZES[cipher]
    expected = {letters[0:1]: iv_bytes, letters[1:2]: key_bytes}
    assert asked == (expected if is_aead(cipher) else {**expected, letters[2:3]: 64})


def naive_derivation(hash_name: str, secret: bytes, exchange_hash: bytes, session_id: bytes, letter: bytes, size: int) -> bytes:
    """RFC 4253 §7.2, word for word."""
    parts = [hashlib.new(hash_name, secret + exchange_hash + letter + session_id).digest()]
    while sum(map(len, parts)) < size:
        parts.append(hashlib.new(hash_name, secret + exchange_hash + b"".join(parts)).digest())
    return b"".join(parts)[:size]


@given(
    hash_name=st.sampled_from(["sha256", "sha384", "sha512"]),
    secret=st.binary(max_size=80),
    exchange_hash=st.binary(min_size=20, max_size=64),
    session_id=st.binary(min_size=20, max_size=64),
    letter=st.sampled_from([b"A", b"B", b"C", b"D", b"E", b"F"]),
    size=st.integers(0, 300),
)
def test_derivation_by_definition(hash_name, secret, exchange_hash, session_id, letter, size):
    # Hash and session id of unequal lengths: a rekey may change the hash, the session id stays (A12).
    derived = derive_keys(hash_name, secret, exchange_hash, session_id, letter, size)
    assert len(derived) == size
    assert derived == naive_derivation(hash_name, secret, exchange_hash, session_id, letter, size)


@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
def test_shorter_keys_are_the_beginning_of_longer_ones(hash_name):
    whole = derive_keys(hash_name, b"K", b"H" * 32, b"S" * 64, b"C", 200)
    assert all(derive_keys(hash_name, b"K", b"H" * 32, b"S" * 64, b"C", size) == whole[:size] for size in range(200))


def test_every_input_of_the_derivation_counts():
    base = ("sha256", b"K", b"H" * 32, b"S" * 32, b"A", 64)
    changed = [("sha512", *base[1:]), (base[0], b"k", *base[2:]), (*base[:2], b"h" * 32, *base[3:])]
    changed += [(*base[:3], b"s" * 32, *base[4:]), (*base[:4], b"B", 64)]
    assert len({derive_keys(*arguments) for arguments in [base, *changed]}) == 6


SLOW = ("group15", "group16", "group17", "group18")
HASHES = {"nistp384": "sha384", "nistp521": "sha512", "curve448": "sha512", "-sha1": "sha1"} | dict.fromkeys(SLOW, "sha512")


@pytest.mark.parametrize("name", sorted(KEX))
def test_kex_rows(name):
    recipe = KEX[name]
    assert recipe.name == name
    assert digest(recipe.hash_name, b"") == hashlib.new(recipe.hash_name).digest()
    assert recipe.hash_name == next((hash_name for part, hash_name in HASHES.items() if part in name), "sha256")
    if isinstance(recipe, KexRecipe):
        assert recipe.slow is any(part in name for part in SLOW)
    else:
        assert "group-exchange" in name
