"""Published vectors, directly where the SSH form of an algorithm allows it, else by way of the implementations in `reference`."""

from __future__ import annotations

import hashlib
import struct

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM1024PrivateKey
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.crypto import reference
from tests.crypto.packets import open_packet, seal
from trio_ssh.crypto.aead import AESGCMOpeningKey, AESGCMSealingKey, ChaChaOpeningKey, ChaChaSealingKey
from trio_ssh.crypto.ctr_hmac import EncryptAndMacSealingKey, EncryptThenMacSealingKey
from trio_ssh.crypto.dh_primes import GROUP14_PRIME, GROUP15_PRIME, GROUP16_PRIME, GROUP17_PRIME, GROUP18_PRIME
from trio_ssh.crypto.kex import KEX, KexRecipe
from trio_ssh.crypto.kex_dh import dh_share, generate_dh_key
from trio_ssh.crypto.kex_ecdh import nist_share, x448_share, x25519_share
from trio_ssh.crypto.suites import CIPHERS, MACS, derive_keys
from trio_ssh.wire.primitives import mpint_bytes

unhex = bytes.fromhex


def test_x25519_of_rfc_7748_section_6_1():
    alice = x25519_share(X25519PrivateKey.from_private_bytes(unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")))
    bob = x25519_share(X25519PrivateKey.from_private_bytes(unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")))
    assert alice.public == unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    assert bob.public == unhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    secret = unhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    assert alice.finish(bob.public) == bob.finish(alice.public) == secret


def test_x448_of_rfc_7748_section_6_2():
    alice = x448_share(
        X448PrivateKey.from_private_bytes(
            unhex("9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b")
        )
    )
    bob = x448_share(
        X448PrivateKey.from_private_bytes(
            unhex("1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d")
        )
    )
    assert alice.public == unhex(
        "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0"
    )
    assert bob.public == unhex(
        "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609"
    )
    secret = unhex("07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879d")
    assert alice.finish(bob.public) == bob.finish(alice.public) == secret


RFC_5903 = [  # i, gix, giy, r, grx, gry, girx of §8.1 to §8.3
    (
        ec.SECP256R1(),
        "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
        "DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180",
        "5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3",
        "C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53",
        "D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63",
        "56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB",
        "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE",
    ),
    (
        ec.SECP384R1(),
        "099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655E35B538041E649EE3FAEF896783AB194",
        "667842D7D180AC2CDE6F74F37551F55755C7645C20EF73E31634FE72B4C55EE6DE3AC808ACB4BDB4C88732AEE95F41AA",
        "9482ED1FC0EEB9CAFC4984625CCFC23F65032149E0E144ADA024181535A0F38EEB9FCFF3C2C947DAE69B4C634573A81C",
        "41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942E0308312916B8ED2960E4BD55A7448FC",
        "E558DBEF53EECDE3D3FCCFC1AEA08A89A987475D12FD950D83CFA41732BC509D0D1AC43A0336DEF96FDA41D0774A3571",
        "DCFBEC7AACF3196472169E838430367F66EEBE3C6E70C416DD5F0C68759DD1FFF83FA40142209DFF5EAAD96DB9E6386C",
        "11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4D603135569B9E9D09CF5D4A270F59746",
    ),
    (
        ec.SECP521R1(),
        "0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A095AA85A30FE1C2952C6771D937BA9777F5957B2639BAB072462F68C27A57382D4A52",
        "0015417E84DBF28C0AD3C278713349DC7DF153C897A1891BD98BAB4357C9ECBEE1E3BF42E00B8E380AEAE57C2D107564941885942AF5A7F4601723C4195D176CED3E",
        "017CAE20B6641D2EEB695786D8C946146239D099E18E1D5A514C739D7CB4A10AD8A788015AC405D7799DC75E7B7D5B6CF2261A6A7F1507438BF01BEB6CA3926F9582",
        "0145BA99A847AF43793FDD0E872E7CDFA16BE30FDC780F97BCCC3F078380201E9C677D600B343757A3BDBF2A3163E4C2F869CCA7458AA4A4EFFC311F5CB151685EB9",
        "00D0B3975AC4B799F5BEA16D5E13E9AF971D5E9B984C9F39728B5E5739735A219B97C356436ADC6E95BB0352F6BE64A6C2912D4EF2D0433CED2B6171640012D9460F",
        "015C68226383956E3BD066E797B623C27CE0EAC2F551A10C2C724D9852077B87220B6536C5C408A1D2AEBB8E86D678AE49CB57091F4732296579AB44FCD17F0FC56A",
        "01144C7D79AE6956BC8EDB8E7C787C4521CB086FA64407F97894E5E6B2D79B04D1427E73CA4BAA240A34786859810C06B3C715A3A8CC3151F2BEE417996D19F3DDEA",
    ),
]


@pytest.mark.parametrize(("curve", "i", "gix", "giy", "r", "grx", "gry", "girx"), RFC_5903, ids=["P-256", "P-384", "P-521"])
def test_ecdh_of_rfc_5903_section_8(curve, i, gix, giy, r, grx, gry, girx):
    initiator = nist_share(ec.derive_private_key(int(i, 16), curve))
    responder = nist_share(ec.derive_private_key(int(r, 16), curve))
    assert initiator.public == b"\4" + unhex(gix + giy)
    assert responder.public == b"\4" + unhex(grx + gry)
    assert initiator.finish(responder.public) == responder.finish(initiator.public) == unhex(girx)


def pi_times_two_to(power: int) -> int:
    """floor(pi * 2^power), by Machin's formula with 64 bits to spare."""
    one = 1 << (power + 64)

    def arctan_of_inverse(x: int) -> int:
        power_term = total = one // x
        k = 1
        while power_term:
            power_term //= x * x
            k += 2
            total += power_term // k if k % 4 == 1 else -(power_term // k)
        return total

    return 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239)) >> 64


@pytest.mark.parametrize(
    ("prime", "bits", "offset"),
    [
        (GROUP14_PRIME, 2048, 124476),
        (GROUP15_PRIME, 3072, 1690314),
        (GROUP16_PRIME, 4096, 240904),
        (GROUP17_PRIME, 6144, 929484),
        (GROUP18_PRIME, 8192, 4743158),
    ],
    ids=["group14", "group15", "group16", "group17", "group18"],
)
def test_primes_follow_the_formula_of_rfc_3526(prime, bits, offset):
    assert prime == (1 << bits) - (1 << (bits - 64)) - 1 + ((pi_times_two_to(bits - 130) + offset) << 64)


@pytest.mark.parametrize("prime", [GROUP14_PRIME, GROUP16_PRIME], ids=["group14", "group16"])
def test_diffie_hellman_is_what_its_definition_says(prime):
    private = generate_dh_key(prime)
    share = dh_share(private)
    x = private.private_numbers().x
    assert int.from_bytes(share.public, "big", signed=True) == pow(2, x, prime)
    peer_value = pow(2, 0xC0FFEE << 200, prime)
    expected = pow(peer_value, x, prime).to_bytes(prime.bit_length() // 8, "big")
    assert share.finish(mpint_bytes(peer_value)) == expected


def test_ml_kem_is_that_of_fips_203_and_not_a_draft_of_it():
    # NIST ACVP ML-KEM-keyGen-FIPS203, ML-KEM-768: d and z, then SHA3-256 of the encapsulation key.
    seed = unhex(
        "E34A701C4C87582F42264EE422D3C684D97611F2523EFE0C998AF05056D693DCA85768F3486BD32A01BF9A8F21EA938E648EAE4E5448C34C3EB88820B159EEDD"
    )
    key = MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
    assert hashlib.sha3_256(key).hexdigest() == "e29020839d052fa372585627f8b59ee312ae414c979d825f06a6929a79625718"


@pytest.mark.parametrize(("private_class", "k"), [(MLKEM768PrivateKey, 3), (MLKEM1024PrivateKey, 4)], ids=["768", "1024"])
def test_ml_kem_agrees_with_the_reference(private_class, k):
    for first in (0, 100, 200):
        seed = bytes((first + i) % 256 for i in range(64))
        ours = private_class.from_seed_bytes(seed).public_key().public_bytes_raw()
        assert ours == reference.ml_kem_public_key(seed[:32], k)


HYBRIDS = [  # RFC 10042 §2: name, ML-KEM, bytes of its ciphertext, curve, hash
    ("mlkem768x25519-sha256", MLKEM768PrivateKey, 1088, None, "sha256"),
    ("mlkem768nistp256-sha256", MLKEM768PrivateKey, 1088, ec.SECP256R1(), "sha256"),
    ("mlkem1024nistp384-sha384", MLKEM1024PrivateKey, 1568, ec.SECP384R1(), "sha384"),
]


@pytest.mark.parametrize(("name", "private_class", "ciphertext_bytes", "curve", "hash_name"), HYBRIDS, ids=[row[0] for row in HYBRIDS])
def test_hybrid_secrets_are_what_their_definition_says(name, private_class, ciphertext_bytes, curve, hash_name):
    """A client by hand: C_INIT = C_PK2 || C_PK1, S_REPLY = S_CT2 || S_PK1, K = HASH(K_PQ || K_CL) as a string."""
    kem = private_class.generate()
    curve_key = ec.generate_private_key(curve) if curve else X25519PrivateKey.generate()
    if isinstance(curve_key, X25519PrivateKey):
        curve_public = curve_key.public_key().public_bytes_raw()
    else:
        curve_public = curve_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    recipe = KEX[name]
    assert isinstance(recipe, KexRecipe)
    reply, secret = recipe.respond(kem.public_key().public_bytes_raw() + curve_public)
    ciphertext, theirs = reply[:ciphertext_bytes], reply[ciphertext_bytes:]
    if isinstance(curve_key, X25519PrivateKey):
        curve_secret = curve_key.exchange(X25519PublicKey.from_public_bytes(theirs))
    else:
        curve_secret = curve_key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, theirs))
        assert len(curve_secret) == curve.key_size // 8
    digest = hashlib.new(hash_name, kem.decapsulate(ciphertext) + curve_secret).digest()
    assert secret == len(digest).to_bytes(4, "big") + digest


def test_key_derivation_of_nist_cavs():
    # CAVS 14.1, SSH KDF with SHA-1: the keys of 24 bytes are longer than the hash.
    secret = unhex(
        "0000008100ec6f2c5f0517fd92f730567bd783138302917c277552b1b3fdf2b67d6edb6fa81bd17f7ebbe339b54b171341e6522b91611f8274cc88652a458f"
        "8041261040818a268497e949e12f57271318b2b3194c29760cbb767c0fc8833b272994e18682da807e6c9f235d88ef89c203c6f756d25cc2bea199b02c955b"
        "8b40cbc04f9208"
    )
    exchange_hash = unhex("ee40eef61bea3da8c2b1cec40fc4cdac892a2626")
    session_id = unhex("ca9aad244e24797fd348d1250387c8aa45a0110a")
    expected = {
        b"A": "55a1015757de84cb",
        b"B": "7e57f61d5735f4fb",
        b"C": "dd1c24bde1af845e82207541e3e173aec822fb904a94ae3c",
        b"D": "cbbfdc9442af6db7f8c4dcaa4b0b5d0163e0e204476aa2a0",
        b"E": "e153e04886c0dc446dde9a9b3b13efb77151764d",
        b"F": "c8e4f61bd6b5abb2c6e06eca7b302349435e4842",
    }
    for letter, material in expected.items():
        assert derive_keys("sha1", secret, exchange_hash, session_id, letter, len(material) // 2).hex() == material


RFC_3686 = [  # §6, vectors 1, 4 and 7: key, first counter block, plaintext, ciphertext; of one block, which is all that needs saying
    (
        "aes128-ctr",
        "AE6852F8121067CC4BF7A5765577F39E",
        "00000030000000000000000000000001",
        "53696E676C6520626C6F636B206D7367",
        "E4095D4FB7A7B3792D6175A3261311B8",
    ),
    (
        "aes192-ctr",
        "16AF5B145FC9F579C175F93E3BFB0EED863D06CCFDB78515",
        "0000004836733C147D6D93CB00000001",
        "53696E676C6520626C6F636B206D7367",
        "4B55384FE259C9C84E7935A003CBE928",
    ),
    (
        "aes256-ctr",
        "776BEFF2851DB06F4C8A0542C8696F6C6A81AF1EEC96B4D37FC1D689E6C1C104",
        "00000060DB5672C97AA8F0B200000001",
        "53696E676C6520626C6F636B206D7367",
        "145AD01DBF824EC7560863DC71E3E0C0",
    ),
]


@pytest.mark.parametrize(("name", "key", "counter", "plaintext", "ciphertext"), RFC_3686, ids=["aes128", "aes192", "aes256"])
def test_aes_ctr_of_rfc_3686(name, key, counter, plaintext, ciphertext):
    recipe = CIPHERS[name]
    hmac = HMAC(bytes(32), hashes.SHA256())
    sealing = EncryptThenMacSealingKey(recipe.encryptor(unhex(key), unhex(counter)), recipe.block_bytes, hmac, 32)
    assert seal(sealing, struct.pack(">I", 16) + unhex(plaintext), 0)[4:20] == unhex(ciphertext)


SP_800_38A = [  # F.2.1, F.2.3, F.2.5: key and ciphertext of the four blocks below under IV 000102…0f
    (
        "aes128-cbc",
        "2b7e151628aed2a6abf7158809cf4f3c",
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
    ),
    (
        "aes192-cbc",
        "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
        "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd",
    ),
    (
        "aes256-cbc",
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
    ),
]
SP_800_38A_PLAINTEXT = (
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)


@pytest.mark.parametrize(("name", "key", "ciphertext"), SP_800_38A, ids=[row[0] for row in SP_800_38A])
def test_aes_cbc_of_nist_sp_800_38a(name, key, ciphertext):
    recipe, iv = CIPHERS[name], bytes(range(16))
    blocks = bytearray(unhex(SP_800_38A_PLAINTEXT))
    view, encryptor, decryptor = memoryview(blocks), recipe.encryptor(unhex(key), iv), recipe.decryptor(unhex(key), iv)
    for start, end in ((0, 16), (16, 64)):  # it runs on from packet to packet
        assert encryptor.update_into(view[start:end], view[start:end]) == end - start
    assert blocks.hex() == ciphertext
    for start, end in ((0, 48), (48, 64)):
        decryptor.update_into(view[start:end], view[start:end])
    assert blocks.hex() == SP_800_38A_PLAINTEXT


def test_3des_is_des_three_times():
    def des(key: bytes, block: bytes, *, forward: bool) -> bytes:
        context = Cipher(TripleDES(key * 3), ECB())
        return (context.encryptor() if forward else context.decryptor()).update(block)

    assert des(unhex("133457799bbcdff1"), unhex("0123456789abcdef"), forward=True).hex() == "85e813540f0ab405"
    keys, iv = [unhex("0123456789abcdef"), unhex("23456789abcdef01"), unhex("456789abcdef0123")], bytes(range(1, 9))
    plaintext = b"blocks of eight bytes, chained.."
    expected, previous = b"", iv
    for start in range(0, len(plaintext), 8):
        block = des(keys[0], reference.xor(plaintext[start : start + 8], previous), forward=True)  # NIST SP 800-67 §3.1
        previous = des(keys[2], des(keys[1], block, forward=False), forward=True)
        expected += previous
    recipe, buffer = CIPHERS["3des-cbc"], bytearray(plaintext)
    recipe.encryptor(b"".join(keys), iv).update_into(memoryview(buffer), memoryview(buffer))
    assert buffer == expected
    recipe.decryptor(b"".join(keys), iv).update_into(memoryview(buffer), memoryview(buffer))
    assert buffer == plaintext


RFC_2202 = [  # §3, test cases 1, 2, 3 and 6
    (b"\x0b" * 20, b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
    (b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    (b"\xaa" * 20, b"\xdd" * 50, "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
    (b"\xaa" * 80, b"Test Using Larger Than Block-Size Key - Hash Key First", "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
]


@pytest.mark.parametrize(("key", "data", "tag"), RFC_2202)
def test_hmac_sha1_of_rfc_2202(key, data, tag):
    recipe = MACS["hmac-sha1"]
    assert (recipe.key_bytes, recipe.tag_bytes) == (20, 20)
    cipher = Cipher(AES(bytes(16)), CTR(bytes(16))).encryptor()
    sealing = EncryptAndMacSealingKey(cipher, 16, recipe.keyed(key), recipe.tag_bytes)
    assert seal(sealing, data[4:], int.from_bytes(data[:4], "big"))[len(data) - 4 :].hex() == tag


RFC_4231 = [  # §4: key, data; the first 4 bytes of the data stand where the sequence number does, the rest where the packet is
    (b"\x0b" * 20, b"Hi There"),
    (b"Jefe", b"what do ya want for nothing?"),
    (b"\xaa" * 20, b"\xdd" * 50),
    (b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First"),
]
RFC_4231_TAGS = {
    "sha256": [
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ],
    "sha512": [
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
        "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
    ],
}


@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
@pytest.mark.parametrize("index", range(len(RFC_4231)))
def test_hmac_of_rfc_4231(hash_name, index):
    key, data = RFC_4231[index]
    algorithm = hashes.SHA256() if hash_name == "sha256" else hashes.SHA512()
    cipher = Cipher(AES(bytes(16)), CTR(bytes(16))).encryptor()
    sealing = EncryptAndMacSealingKey(cipher, 16, HMAC(key, algorithm), algorithm.digest_size)
    wire = seal(sealing, data[4:], int.from_bytes(data[:4], "big"))
    assert wire[len(data) - 4 :].hex() == RFC_4231_TAGS[hash_name][index]


def test_reference_chacha20_and_poly1305_are_those_of_rfc_8439():
    key = bytes(range(32))
    block = reference.chacha20_block(key, unhex("01000000000000090000004a00000000"))  # §2.3.2
    assert block.hex() == (
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4ed2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )
    poly_key = unhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b")  # §2.5.2
    assert reference.poly1305(poly_key, b"Cryptographic Forum Research Group").hex() == "a8061dc1305136c6c22b8baf0c0127a9"


def test_reference_aes_gcm_is_that_of_nist():
    # Test cases 4 and 16 of the GCM specification.
    nonce = unhex("cafebabefacedbaddecaf888")
    plaintext = unhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    additional = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    key = unhex("feffe9928665731c6d6a8f9467308308")
    assert reference.aes_gcm(key, nonce, plaintext, additional).hex() == (
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
        "5bc94fbc3221a5db94fae95ae7121a47"
    )
    assert reference.aes_gcm(key * 2, nonce, plaintext, additional).hex() == (
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )


@pytest.mark.parametrize("packet_length", [0, 8, 16, 64, 120, 128, 256])
@pytest.mark.parametrize("sequence_number", [0, 1, 255, 0x01020304, 0xFFFFFFFF])
def test_chacha20_poly1305_agrees_with_the_reference(packet_length, sequence_number):
    key = bytes(range(100, 164))
    packet = struct.pack(">I", packet_length) + bytes(i * 7 & 255 for i in range(packet_length))
    wire = seal(ChaChaSealingKey(key), packet, sequence_number)
    assert wire == reference.chacha20_poly1305_openssh(key, packet, sequence_number)
    assert open_packet(ChaChaOpeningKey(key), wire, sequence_number) == packet[4:]


@pytest.mark.parametrize("packet_length", [0, 16, 32, 128, 256])
@pytest.mark.parametrize("key_bytes", [16, 32])
def test_aes_gcm_agrees_with_the_reference(packet_length, key_bytes):
    key, iv = bytes(range(key_bytes)), bytes(range(50, 62))
    packet = struct.pack(">I", packet_length) + bytes(i * 7 & 255 for i in range(packet_length))
    sealing, opening = AESGCMSealingKey(key, iv), AESGCMOpeningKey(key, iv)
    for count in range(3):
        nonce = iv[:4] + (int.from_bytes(iv[4:], "big") + count).to_bytes(8, "big")  # RFC 5647 §7.1
        wire = seal(sealing, packet, 77)
        assert wire == packet[:4] + reference.aes_gcm(key, nonce, packet[4:], packet[:4])
        assert open_packet(opening, wire, 99) == packet[4:]


def test_the_aes_gcm_counter_wraps_within_its_64_bits():
    key, iv = bytes(16), b"fix!" + b"\xff" * 8
    packet = struct.pack(">I", 16) + bytes(16)
    sealing, opening = AESGCMSealingKey(key, iv), AESGCMOpeningKey(key, iv)
    for nonce in (iv, b"fix!" + bytes(8), b"fix!" + bytes(7) + b"\1"):
        wire = seal(sealing, packet, 0)
        assert wire[4:] == reference.aes_gcm(key, nonce, bytes(16), packet[:4])
        assert open_packet(opening, wire, 0) == bytes(16)
