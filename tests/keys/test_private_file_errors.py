"""Everything that can be wrong with a private key file comes out as one KeyFileError that says where, what, and what to do."""

from __future__ import annotations

import base64
import os
import socket
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_ssh.errors import KeyFileError
from trio_ssh.keys import PassphraseRequired, PrivateKey, WrongPassphrase
from trio_ssh.keys.own_types import OwnPrivateKey
from trio_ssh.keys.private_openssh import _armour
from trio_ssh.wire.primitives import write_mpint, write_string

MAGIC = b"openssh-key-v1\0"


def load(path: Path, content: bytes, passphrase: str | None = None) -> KeyFileError:
    """The error that reading a file of this content raises: one line, with the path in it, of exactly KeyFileError's kin."""
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(KeyFileError) as caught:
        PrivateKey.from_file(path, passphrase)
    assert caught.value.path == str(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()
    return caught.value


def body_of(text: bytes) -> bytes:
    return base64.b64decode(b"".join(text.split(b"\n")[1:-2]))


def strings(*fields: bytes | int) -> bytes:
    out = bytearray()
    for field in fields:
        if isinstance(field, int):
            write_mpint(out, field)
        else:
            write_string(out, field)
    return bytes(out)


def container(public: bytes, section: bytes, *, cipher=b"none", kdf=b"none", options=b"", count=1, rest=b"") -> bytes:
    head = MAGIC + strings(cipher, kdf, options) + struct.pack(">I", count)
    return _armour(head + strings(public, section) + rest)


def section_of(*fields: bytes, comment: bytes = b"", checks: bytes = b"12341234", padding: bytes | None = None) -> bytes:
    content = checks + b"".join(fields) + strings(comment)
    return content + (bytes(range(1, 1 + -len(content) % 8)) if padding is None else padding)


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


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "the file is empty; restore the private key from a backup or make a new one"),
        (b"\xef\xbb\xbf \r\n\n", "the file is empty"),
        (b"hello", "it is not a private key in OpenSSH or PEM format; check the path"),
        (b"\0" * 100, "it is not a private key"),
        (b"ssh-ed25519 AAAA x", "it is a public key; give the private key's file, mostly the one without .pub"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "it is a public key"),
        (b"---- BEGIN SSH2 PUBLIC KEY ----\n", "it is a public key"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\n", "-O private-openssh -o NEW"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "the file is cut off: its END line is missing"),
        (b"-----BEGIN OPENSSH PRIVATE KEY", "its BEGIN line is malformed"),
        (b"-----BEGIN " + b"A" * 200, "its BEGIN line is malformed"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n!!\n-----END OPENSSH PRIVATE KEY-----\n", "its base64 text is malformed"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "not start with the mark of the OpenSSH"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----\n", "not start with the mark"),
        (b"-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n", "kind 'DSA PRIVATE KEY' are not supported"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged or of a kind that is not supported; supported are"),
        (b"-----BEGIN RSA PRIVATE KEY-----\n\n-----END RSA PRIVATE KEY-----\n", "damaged or of a kind that is not supported"),
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "the private key is damaged"),
        (b"-----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY-----\nmore", "something follows the END line"),
        (b"x" * ((1 << 20) + 1), "larger than 1048576 bytes"),
    ],
)
def test_what_is_no_private_key(path, content, text):
    assert text in str(load(path, content))


def test_trailing_text_is_refused(path, keys):
    text = keys["ed25519"].to_openssh()
    assert "something follows the END line" in str(load(path, text + text))


def test_missing_directory_and_parts_of_the_path(tmp_path):
    for bad, text in [
        (tmp_path / "none", "cannot be read: No such file or directory; check the path"),
        (tmp_path, "it is a directory; give the path of a regular file"),
        (tmp_path / "a\0b", "cannot be read: embedded null byte"),
        (Path("/dev/null/x"), "cannot be read: Not a directory"),
        (Path("/dev/zero"), "it is not a regular file"),
    ]:
        with pytest.raises(KeyFileError) as caught:
            PrivateKey.from_file(bad)
        assert text in str(caught.value)
        assert caught.value.path == str(bad)


def test_fifos_and_sockets_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(KeyFileError, match="not a regular file"):
        PrivateKey.from_file(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(tmp_path / "sock"))
        with pytest.raises(KeyFileError, match="cannot be read"):
            PrivateKey.from_file(tmp_path / "sock")


def test_unreadable(tmp_path, keys):
    path = tmp_path / "id"
    keys["ed25519"].write_file(path)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # nothing is unreadable to root
        os.seteuid(65534)
    try:
        with pytest.raises(KeyFileError, match="cannot be read: Permission denied; check who owns it and its mode"):
            PrivateKey.from_file(path)
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o610, 0o601, 0o777])
def test_a_mode_that_lets_others_in_is_refused(tmp_path, keys, mode):
    path = tmp_path / "a key's file"
    keys["ed25519"].write_file(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError) as caught:
        PrivateKey.from_file(path)
    assert f"its mode {mode:04o} lets others get at the private key" in str(caught.value)
    assert str(caught.value).endswith(f"""run: chmod 600 '{tmp_path}/a key'"'"'s file'""")
    for good in (0o600, 0o400):
        path.chmod(good)
        assert PrivateKey.from_file(path) == keys["ed25519"]


def test_the_mode_is_judged_before_the_content(path):
    path.write_bytes(b"garbage")
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="its mode 0644"):
        PrivateKey.from_file(path)


def test_passphrases_asked_for_and_wrong(path, keys):
    for text in (keys["rsa"].to_openssh("right", rounds=1), pem_encrypted(keys["rsa"])):
        error = load(path, text)
        assert isinstance(error, PassphraseRequired)
        assert str(error) == f"{path}: the private key is encrypted; give its passphrase"
        for wrong in ("wrong", "", "\ud800", "x" * 5000):
            error = load(path, text, wrong)
            assert isinstance(error, WrongPassphrase)
            assert "this passphrase does not open the private key; try again" in str(error)


def pem_encrypted(key: PrivateKey) -> bytes:
    maths = key._maths
    assert not isinstance(maths, OwnPrivateKey)
    return maths.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"right"))


def test_from_bytes_says_private_key_where_a_path_would_stand(keys):
    with pytest.raises(PassphraseRequired) as caught:
        PrivateKey.from_bytes(keys["ed25519"].to_openssh("pw", rounds=1))
    assert str(caught.value) == "private key: the private key is encrypted; give its passphrase"
    assert caught.value.path is None


@pytest.mark.parametrize("rounds", [0, 2049, 1 << 31, (1 << 32) - 1])
def test_costly_derivations_are_refused_before_any_work(path, ed, rounds):
    text = container(ed[0], bytes(64), cipher=b"aes256-ctr", kdf=b"bcrypt", options=strings(bytes(16)) + struct.pack(">I", rounds))
    start = time.process_time()
    error = load(path, text, "pw")
    assert time.process_time() - start < 0.5
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
        PBKDF2 + der(0x30, der(4, bytes(8)) + der_int(10_000_001)),
        PBKDF2 + der(0x30, der(4, bytes(8)) + der_int(1 << 62) + der_int(32)),
        SCRYPT + der(0x30, der(4, bytes(8)) + der_int(1 << 30) + der_int(8) + der_int(1)),
        SCRYPT + der(0x30, der(4, bytes(8)) + der_int(1 << 14) + der_int(8) + der_int(1 << 20)),
        SCRYPT + der(0x30, der(4, bytes(8)) + der_int(1 << 14)),
    ],
)
def test_costly_pkcs8_is_refused_before_any_work(path, derivation):
    start = time.process_time()
    error = load(path, encrypted_pkcs8(derivation), "pw")
    assert time.process_time() - start < 0.5
    assert "asks for more work than is accepted; if you trust the file" in str(error)


def test_moderate_pkcs8_is_tried(path):
    good = PBKDF2 + der(0x30, der(4, bytes(8)) + der_int(1000) + der_int(32))
    assert isinstance(load(path, encrypted_pkcs8(good), "pw"), WrongPassphrase)
    nested = b""
    for _ in range(20):
        nested = der(0x30, nested)
    assert "nested too deep" in str(load(path, encrypted_pkcs8(nested), "pw"))


def test_a_large_pem_body_is_refused_before_it_is_parsed(path):
    text = b"-----BEGIN RSA PRIVATE KEY-----\n" + b"MIIB" * 100_000 + b"\n-----END RSA PRIVATE KEY-----\n"
    assert "too large to be one that can be used" in str(load(path, text))


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
def test_damaged_containers(path, ed, changes, text):
    assert text in str(load(path, container(ed[0], section_of(ed[1]), **changes), "pw"))


def test_an_encrypted_section_must_be_whole_blocks(path, ed):
    options = strings(b"salt") + b"\0\0\0\1"
    for size in (0, 8, 15, 17):
        text = container(ed[0], bytes(size), cipher=b"aes256-ctr", kdf=b"bcrypt", options=options)
        assert "not a whole number of blocks" in str(load(path, text, "pw"))


def test_damaged_sections(path, ed, keys):
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
    ]:
        assert text in str(load(path, container(public, section)))
    assert "do not belong together" in str(load(path, container(other, section_of(fields))))
    assert "'sk-x' is not supported" in str(load(path, container(strings(b"sk-x"), section_of(fields))))


def test_rsa_numbers_must_fit_together(path, keys):
    key = keys["rsa"]
    numbers = key._maths.private_numbers()
    n, e, d, p, q = numbers.public_numbers.n, numbers.public_numbers.e, numbers.d, numbers.p, numbers.q
    good = [n, e, d, numbers.iqmp, p, q]
    assert PrivateKey.from_bytes(container(key.public_key.blob, section_of(strings(b"ssh-rsa", *good)))) == key
    for changed in ([n, e, d + 2, good[3], p, q], [n, e, d, good[3] + 1, p, q], [n, e, d, good[3], p + 2, q], [n, e, d, good[3], q, p],
                    [n, e, d, good[3], n, 1], [n, e, d, good[3], 0, q], [n, e, -d, good[3], p, q], [n, e, d, 0, p, q]):  # fmt: skip
        section = section_of(strings(b"ssh-rsa", *changed))
        assert "RSA numbers do not fit together" in str(load(path, container(key.public_key.blob, section)))
    huge = (1 << 1_000_000) | 1
    start = time.process_time()
    blob = strings(b"ssh-rsa", 65537, huge)
    assert "2048 to 16384 bits, not 1000001" in str(load(path, container(blob, section_of(strings(b"ssh-rsa", huge, 65537, 3, 3, 3, 3)))))
    text = container(key.public_key.blob, section_of(strings(b"ssh-rsa", n, e, d, huge, huge, huge)))
    assert "RSA numbers do not fit together" in str(load(path, text))
    assert time.process_time() - start < 2


def test_unsupported_keys_in_pem(path):
    cases: list[tuple[Any, str]] = [
        (ed448.Ed448PrivateKey.generate(), "its type of key is not supported"),
        (ec.generate_private_key(ec.SECP256K1()), "the curve secp256k1 is not supported"),
        (ec.generate_private_key(ec.SECP224R1()), "the curve secp224r1 is not supported"),
        (rsa.generate_private_key(65537, 1024), "2048 to 16384 bits, not 1024"),
        (dsa.generate_private_key(1024), "its type of key is not supported"),
    ]
    for key, text in cases:
        error = load(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        assert text in str(error)
        assert "supported are ed25519, ecdsa on nistp256, nistp384 or nistp521, and rsa of 2048 to 16384 bits" in str(error)


def test_a_file_cut_at_any_byte(keys):
    for text in (keys["nistp256"].to_openssh(), keys["nistp256"]._maths.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())):
        for end in range(len(text) - 1):
            with pytest.raises(KeyFileError):
                PrivateKey.from_bytes(text[:end])


def test_a_container_cut_at_any_byte(keys):
    body = body_of(keys["nistp256"].to_openssh())
    for end in range(len(body)):
        with pytest.raises(KeyFileError):
            PrivateKey.from_bytes(_armour(body[:end]))


@settings(max_examples=300)
@given(which=st.integers(0, 4), position=st.integers(0, 10_000), value=st.integers(0, 255), encrypted=st.booleans())
def test_a_damaged_container_raises_nothing_else(keys, which, position, value, encrypted):
    key = list(keys.values())[which]
    body = bytearray(body_of(key.to_openssh("pw" if encrypted else None, rounds=1)))
    if encrypted:
        position %= 200
    body[position % len(body)] = value
    try:
        PrivateKey.from_bytes(_armour(bytes(body)), "pw")
    except KeyFileError as error:
        assert str(error).isprintable()  # noqa: PT017


@given(position=st.integers(0, 10_000), value=st.integers(0, 255), which=st.integers(0, 4))
def test_damaged_pem_raises_nothing_else(keys, position, value, which):
    key = list(keys.values())[which]
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
        PrivateKey.from_bytes(_armour(MAGIC + data), "pw")
    with pytest.raises(KeyFileError):
        PrivateKey.from_bytes(data)
