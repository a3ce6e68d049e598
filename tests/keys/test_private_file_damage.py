"""Private key files that are damaged, or made to cost much: one KeyFileError each, before any work is done that they could drive up."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.keys.counting import DERIVATIONS
from tests.keys.damage import MAGIC, body_of, container, counted, load, section_of, strings
from trio_ssh.errors import KeyFileError
from trio_ssh.keys import PassphraseRequired, PrivateKey, WrongPassphrase
from trio_ssh.keys.private_openssh import armour


@pytest.fixture
def ed(keys):
    """(public blob, private fields) of an ed25519 key, to build damaged files from."""
    key = keys["ed25519"]
    raw = key._maths.private_bytes_raw()
    public = key._maths.public_key().public_bytes_raw()
    return key.public_key.blob, strings(b"ssh-ed25519", public, raw + public)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "id"


def test_the_builder_of_these_tests_builds_good_files_too(keys, ed):
    assert PrivateKey.from_bytes(container(ed[0], section_of(ed[1]))) == keys["ed25519"]


@pytest.mark.parametrize("rounds", [0, 2049, 1 << 31, (1 << 32) - 1])
def test_e07_costly_derivations_are_refused_before_any_work(path, ed, rounds):
    text = container(ed[0], bytes(64), cipher=b"aes256-ctr", kdf=b"bcrypt", options=strings(bytes(16)) + struct.pack(">I", rounds))
    error, calls = counted(path, text, "pw")
    assert not DERIVATIONS & calls.keys()
    assert f"it asks for {rounds} bcrypt rounds; 1 to 2048 are accepted; if you trust the file" in str(error)
    assert not isinstance(error, WrongPassphrase)
    assert not isinstance(load(path, text), PassphraseRequired)


def der(tag: int, content: bytes) -> bytes:
    length = len(content)
    head = bytes([length]) if length < 128 else b"\x82" + struct.pack(">H", length)
    return bytes([tag]) + head + content


def der_int(value: int) -> bytes:
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


PBES2, PBKDF2, SCRYPT = (bytes.fromhex(h) for h in ("06092a864886f70d01050d", "06092a864886f70d01050c", "060b2b06010401da47040b"))
AES256 = der(0x30, bytes.fromhex("060960864801650304012a") + der(4, bytes(16)))


def encrypted_pkcs8(derivation: bytes) -> bytes:
    algorithm = der(0x30, PBES2 + der(0x30, der(0x30, derivation) + AES256))
    text = base64.b64encode(der(0x30, algorithm + der(4, bytes(64))))
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + text + b"\n-----END ENCRYPTED PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "derivation",
    [
        PBKDF2 + der(0x30, der(4, bytes(8)) + der_int(5_000_001)),
        PBKDF2 + der(0x30, der(4, bytes(8)) + der_int(1 << 62) + der_int(32)),
        SCRYPT + der(0x30, der(4, bytes(8)) + der_int(1 << 30) + der_int(8) + der_int(1)),
        SCRYPT + der(0x30, der(4, bytes(8)) + der_int(1 << 14) + der_int(8) + der_int(1 << 20)),
        SCRYPT + der(0x30, der(4, bytes(8)) + der_int(1 << 14)),
    ],
)
def test_e07_costly_pkcs8_is_refused_before_any_work(path, derivation):
    error, calls = counted(path, encrypted_pkcs8(derivation), "pw")
    assert not DERIVATIONS & calls.keys()
    assert "asks for more work than is accepted; if you trust the file" in str(error)


def test_moderate_pkcs8_is_tried(path):
    good = PBKDF2 + der(0x30, der(4, bytes(8)) + der_int(1000) + der_int(32))
    assert isinstance(load(path, encrypted_pkcs8(good), "pw"), WrongPassphrase)
    nested = b""
    for _ in range(20):
        nested = der(0x30, nested)
    assert "nested too deep" in str(load(path, encrypted_pkcs8(nested), "pw"))


def test_e07_a_large_pem_body_is_refused_before_it_is_parsed(path):
    text = b"-----BEGIN RSA PRIVATE KEY-----\n" + b"MIIB" * 100_000 + b"\n-----END RSA PRIVATE KEY-----\n"
    error, calls = counted(path, text)
    assert "too large to be one that can be used" in str(error)
    assert not DERIVATIONS & calls.keys()


BCRYPT = {"cipher": b"aes256-ctr", "kdf": b"bcrypt", "options": strings(b"salt") + b"\0\0\0\1"}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"count": 0}, "holds 0 keys"),
        ({"count": 2}, "holds 2 keys"),
        ({"rest": b"x"}, "1 bytes follow its end"),
        ({"kdf": b"bcrypt"}, "encrypted by none with bcrypt, which is not supported; re-encrypt it with: ssh-keygen -p -Z aes256-ctr -f /"),
        ({"cipher": b"aes256-ctr"}, "aes256-ctr with none, which is not supported"),
        ({"cipher": b"rot13\n", "kdf": b"bcrypt"}, r"rot13\n with bcrypt, which is not supported"),
        (BCRYPT | {"options": b""}, "damaged: a uint32 is cut off"),
        (BCRYPT | {"options": strings(b"") + b"\0\0\0\1"}, "bcrypt options are malformed"),
        (BCRYPT | {"options": strings(b"salt") + b"\0\0\0\1\0"}, "bcrypt options are malformed"),
        (BCRYPT | {"rest": b"!"}, "1 bytes follow its end, not 0"),
        (BCRYPT | {"cipher": b"aes256-gcm@openssh.com"}, "0 bytes follow its end, not 16"),
    ],
)
def test_e07_damaged_containers(path, ed, changes, text):
    assert text in str(load(path, container(ed[0], section_of(ed[1]), **changes), "pw"))


def test_an_encrypted_section_must_be_whole_blocks(path, ed):
    options = strings(b"salt") + b"\0\0\0\1"
    for size in (0, 8, 15, 17):
        text = container(ed[0], bytes(size), cipher=b"aes256-ctr", kdf=b"bcrypt", options=options)
        assert "not a whole number of blocks" in str(load(path, text, "pw"))


def test_e07_damaged_sections(path, ed, keys):
    public, fields = ed
    other = keys["nistp256"].public_key.blob
    for section, text in [
        (section_of(fields, checks=b"12345678"), "its two check numbers differ; restore it from a backup or make a new one"),
        (section_of(fields, padding=b"\2\1"), "its padding is wrong"),
        (section_of(fields, padding=b"\0"), "its padding is wrong"),
        (section_of(fields) + bytes(300), "its padding is wrong"),
        (section_of(fields)[:50], "bytes, but only"),
        (section_of(fields)[:60], "uint32 is cut off"),
        (b"", "uint32 is cut off"),
        (section_of(strings(b"ssh-ed25519", bytes(32), bytes(64))), "private and public parts do not belong together"),
        (section_of(strings(b"ssh-ed25519", bytes(32), bytes(63))), "ed25519 fields do not fit together"),
        (section_of(strings(b"ssh-ed25519", bytes(32), b"x" * 64)), "ed25519 fields do not fit together"),
        (section_of(strings(b"ecdsa-sha2-nistp256", b"nistp384", b"", 5)), "curve name or private number is out of range"),
        (section_of(strings(b"ecdsa-sha2-nistp256", b"nistp256", b"", 0)), "private number is out of range"),
        (section_of(strings(b"ecdsa-sha2-nistp256", b"nistp256", b"", 1 << 256)), "private number is out of range"),
        (section_of(strings(b"ecdsa-sha2-nistp256", b"nistp256", b"", -5)), "private number is out of range"),
        (section_of(strings(b"ecdsa-sha2-nistp256", b"nistp256", b"", 5)), "do not belong together"),
        (section_of(strings(b"ssh-ed448", bytes(57), bytes(113))), "ed448 fields do not fit together"),
        (section_of(strings(b"ssh-ed448", bytes(57), bytes(114))), "do not belong together"),
        (section_of(strings(b"sk-ssh-ed25519@openssh.com", bytes(31), b"ssh:")), "32 bytes, not 31"),
        (section_of(strings(b"sk-ssh-ed25519@openssh.com", bytes(32), b"\xff")), "not UTF-8"),
        (b"12341234" + strings(b"sk-ssh-ed25519@openssh.com", bytes(32), b"ssh:"), "byte is missing"),
        (section_of(strings(b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", bytes(65), b"ssh:")), "not an uncompressed one"),
    ]:
        assert text in str(load(path, container(public, section)))
    assert "do not belong together" in str(load(path, container(other, section_of(fields))))
    assert "'sk-x' is not supported" in str(load(path, container(strings(b"sk-x"), section_of(fields))))


def test_e07_rsa_numbers_must_fit_together(path, keys):
    key = keys["rsa"]
    numbers = key._maths.private_numbers()
    n, e, d, p, q = numbers.public_numbers.n, numbers.public_numbers.e, numbers.d, numbers.p, numbers.q
    good = [n, e, d, numbers.iqmp, p, q]
    assert PrivateKey.from_bytes(container(key.public_key.blob, section_of(strings(b"ssh-rsa", *good)))) == key
    for changed in ([n, e, d + 2, good[3], p, q], [n, e, d, good[3] + 1, p, q], [n, e, d, good[3], p + 2, q], [n, e, d, good[3], q, p],
                    [n, e, d, good[3], n, 1], [n, e, d, good[3], 0, q], [n, e, -d, good[3], p, q], [n, e, d, 0, p, q]):  # fmt: skip
        section = section_of(strings(b"ssh-rsa", *changed))
        assert "RSA numbers do not fit together" in str(load(path, container(key.public_key.blob, section)))


def test_e07_a_modulus_of_a_million_bits(path, keys):
    """In the public key, in the private numbers, in PEM: sizes are looked at before anything is computed with them."""
    huge = (1 << 1_000_000) | 1
    blob = strings(b"ssh-rsa", 65537, huge)
    good = keys["rsa"].public_key.blob
    numbers = keys["rsa"]._maths.private_numbers()
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    for text, reason in [
        (container(blob, section_of(strings(b"ssh-rsa", huge, 65537, 3, 3, 3, 3))), "2048 to 16384 bits, not 1000001"),
        (container(good, section_of(strings(b"ssh-rsa", huge, 65537, 3, 3, 3, 3))), "2048 to 16384 bits, not 1000001"),
        (container(good, section_of(strings(b"ssh-rsa", n, e, huge, huge, huge, huge))), "RSA numbers do not fit together"),
        (container(good, section_of(strings(b"ssh-rsa", n, huge, numbers.d, 3, 3, 3))), "an RSA exponent must be"),
        (pem_rsa(huge), "too large to be one that can be used"),
    ]:
        error, calls = counted(path, text)
        assert reason in str(error)
        assert not DERIVATIONS & calls.keys()
        assert calls.total() < 500


def pem_rsa(modulus: int) -> bytes:
    def integer(value: int) -> bytes:
        content = value.to_bytes(value.bit_length() // 8 + 1, "big")
        return b"\2\x83" + len(content).to_bytes(3, "big") + content

    numbers = b"".join(integer(value) for value in (0, modulus, 65537, 3, 3, 3, 3, 3, 3))
    body = b"\x30\x83" + len(numbers).to_bytes(3, "big") + numbers
    return b"-----BEGIN RSA PRIVATE KEY-----\n" + base64.encodebytes(body) + b"-----END RSA PRIVATE KEY-----\n"


def test_unsupported_keys_in_pem(path):
    cases: list[tuple[Any, str]] = [
        (x25519.X25519PrivateKey.generate(), "its type of key is not supported"),
        (ec.generate_private_key(ec.SECP256K1()), "the curve secp256k1 is not supported"),
        (ec.generate_private_key(ec.SECP224R1()), "the curve secp224r1 is not supported"),
        (rsa.generate_private_key(65537, 1024), "2048 to 16384 bits, not 1024"),
        (dsa.generate_private_key(1024), "its type of key is not supported"),
    ]
    for key, text in cases:
        error = load(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        assert text in str(error)
        assert "supported are ed25519, ed448, ecdsa on nistp256, nistp384 or nistp521, and rsa of 2048 to 16384 bits" in str(error)


def test_e07_a_file_cut_at_any_byte(keys):
    for text in (keys["nistp256"].to_openssh(), keys["nistp256"]._maths.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())):
        for end in range(len(text) - 1):
            with pytest.raises(KeyFileError):
                PrivateKey.from_bytes(text[:end])


def test_e07_a_container_cut_at_any_byte(keys):
    body = body_of(keys["nistp256"].to_openssh())
    for end in range(len(body)):
        with pytest.raises(KeyFileError):
            PrivateKey.from_bytes(armour(body[:end]))


@pytest.fixture(scope="module")
def bodies(keys, software_keys) -> list[tuple[bytes, bytes]]:
    """Of each key, a container in clear and one with a passphrase."""
    every = [*keys.values(), *(software.private_key() for software in software_keys.values())]
    return [(body_of(key.to_openssh()), body_of(key.to_openssh("pw", rounds=1))) for key in every]


@settings(max_examples=300)
@given(which=st.integers(0, 7), position=st.integers(0, 10_000), value=st.integers(0, 255), encrypted=st.booleans())
def test_a_damaged_container_raises_nothing_else(bodies, which, position, value, encrypted):
    body = bytearray(bodies[which][encrypted])
    if encrypted:
        position %= 200
    body[position % len(body)] = value
    try:
        PrivateKey.from_bytes(armour(bytes(body)), "pw")
    except KeyFileError as error:
        assert str(error).isprintable()  # noqa: PT017


@given(position=st.integers(0, 10_000), value=st.integers(0, 255), which=st.integers(0, 7))
def test_damaged_pem_raises_nothing_else(keys, position, value, which):
    key = list(keys.values())[which % 6]
    text = bytearray(key._maths.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    text[position % len(text)] = value
    try:
        PrivateKey.from_bytes(b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(bytes(text)) + b"-----END PRIVATE KEY-----\n")
    except KeyFileError as error:
        assert str(error).isprintable()  # noqa: PT017


@given(st.binary(max_size=400))
def test_any_bytes_raise_nothing_else(data):
    begin, end = b"-----BEGIN %s-----\n", b"\n-----END %s-----\n"
    for label in (b"OPENSSH PRIVATE KEY", b"PRIVATE KEY", b"ENCRYPTED PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY"):
        for content in (data, base64.b64encode(data), b"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n" + data):
            with pytest.raises(KeyFileError):
                PrivateKey.from_bytes(begin % label + content + end % label, "pw")
    with pytest.raises(KeyFileError):
        PrivateKey.from_bytes(armour(MAGIC + data), "pw")
    with pytest.raises(KeyFileError):
        PrivateKey.from_bytes(data)
