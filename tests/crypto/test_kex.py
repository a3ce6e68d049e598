"""Key exchange: both sides get the same K, and no bad share gets as far as one (hardening A14, A15, A16, SM-063 to SM-065)."""

from __future__ import annotations

import secrets
import warnings

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_ssh.crypto.dh_primes import GROUP14_PRIME, GROUP15_PRIME, GROUP16_PRIME, GROUP17_PRIME, GROUP18_PRIME
from trio_ssh.crypto.kex import KEX, KexRecipe
from trio_ssh.crypto.kex_dh import generate_dh_key
from trio_ssh.crypto.kex_share import mpint_secret, string_secret
from trio_ssh.errors import KeyExchangeError
from trio_ssh.wire.primitives import mpint_bytes, read_mpint, read_string

METHODS = {name: recipe for name, recipe in KEX.items() if isinstance(recipe, KexRecipe)}  # group exchange has a test file of its own
every_method = pytest.mark.parametrize("recipe", METHODS.values(), ids=METHODS.keys())

PUBLIC_BYTES = {  # what the client sends, what the server sends
    "mlkem768x25519-sha256": (1184 + 32, 1088 + 32),
    "mlkem768nistp256-sha256": (1184 + 65, 1088 + 65),
    "mlkem1024nistp384-sha384": (1568 + 97, 1568 + 97),
    "curve448-sha512": (56, 56),
    "curve25519-sha256": (32, 32),
    "curve25519-sha256@libssh.org": (32, 32),
    "ecdh-sha2-nistp256": (65, 65),
    "ecdh-sha2-nistp384": (97, 97),
    "ecdh-sha2-nistp521": (133, 133),
}


def refused_by_both_roles(recipe: KexRecipe, share: bytes) -> None:
    """`share` is refused as the client's and as the server's."""
    with pytest.raises(KeyExchangeError) as by_server:
        recipe.respond(share)
    with pytest.raises(KeyExchangeError) as by_client:
        recipe.start_client().finish(share)
    assert by_server.value.reason == by_client.value.reason == 3


@every_method
def test_both_sides_agree_and_never_twice_on_the_same(recipe):
    secrets_seen = set()
    for _ in range(5):
        share = recipe.start_client()
        server_public, server_secret = recipe.respond(share.public)
        assert share.finish(server_public) == server_secret
        secrets_seen |= {share.public, server_public, server_secret}
        if recipe.name in PUBLIC_BYTES:
            assert (len(share.public), len(server_public)) == PUBLIC_BYTES[recipe.name]
    assert len(secrets_seen) == 15


@every_method
def test_k_is_encoded_whole_and_in_its_shortest_form(recipe):
    for _ in range(20 if not recipe.slow else 3):
        _, secret = recipe.respond(recipe.start_client().public)
        if recipe.name.startswith("mlkem"):
            value, end = read_string(secret, 0)
            assert len(value) == (48 if recipe.hash_name == "sha384" else 32)
        else:
            number, end = read_mpint(secret, 0)  # refuses needless leading bytes
            assert number > 0
        assert end == len(secret)


@every_method
def test_a_share_does_not_show_its_secret(recipe):
    assert "finish" not in repr(recipe.start_client())


@every_method
def test_sm_063_a15_a_share_of_another_length_is_refused(recipe):
    share = recipe.start_client()
    server_public, _ = recipe.respond(share.public)
    bad_for_server = [b"", share.public[:-1], share.public + b"\0", share.public + share.public, bytes(20_000 // 8)]
    bad_for_client = [b"", server_public[:-1], server_public + b"\0", server_public * 2, bytes(20_000 // 8)]
    if recipe.name.startswith("diffie"):  # one byte less or more is another number there, and the next test's business
        bad_for_server = [bad_for_server[0], *bad_for_server[3:]]
        bad_for_client = [bad_for_client[0], *bad_for_client[3:]]
    for public in bad_for_server:
        with pytest.raises(KeyExchangeError):
            recipe.respond(public)
    for public in bad_for_client:
        with pytest.raises(KeyExchangeError):
            recipe.start_client().finish(public)


P25519 = 2**255 - 19
# The points of low order of curve25519 and its twist, and their other encodings: order 1, 2, 4, 8.
LOW_ORDER = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    P25519 - 1,
    P25519,
    P25519 + 1,
    0 + 2**255,
    1 + 2**255,
    P25519 - 1 + 2**255,
    P25519 + 2**255,
    P25519 + 1 + 2**255,
]


every_low_order_point = pytest.mark.parametrize("point", LOW_ORDER, ids=[f"point{index}" for index in range(len(LOW_ORDER))])
X25519_LENGTHS = [0, 1, 16, 31, 33, 56, 64, 65]


@every_low_order_point
@pytest.mark.parametrize("name", ["curve25519-sha256", "curve25519-sha256@libssh.org"])
def test_sm_063_a14_curve25519_points_of_low_order_are_refused(name, point):
    refused_by_both_roles(METHODS[name], point.to_bytes(32, "little"))


@pytest.mark.parametrize("name", ["curve25519-sha256", "curve25519-sha256@libssh.org"])
def test_sm_063_a14_curve25519_values_of_another_length_are_refused(name):
    assert len(LOW_ORDER) + len(X25519_LENGTHS) == 20
    for length in X25519_LENGTHS:
        refused_by_both_roles(METHODS[name], b"\x09" * length)


@every_low_order_point
def test_sm_063_a14_curve25519_points_of_low_order_are_refused_inside_the_hybrid(point):
    recipe = METHODS["mlkem768x25519-sha256"]
    share = recipe.start_client()
    server_public, _ = recipe.respond(share.public)
    with pytest.raises(KeyExchangeError):
        recipe.respond(share.public[:-32] + point.to_bytes(32, "little"))
    with pytest.raises(KeyExchangeError):
        share.finish(server_public[:-32] + point.to_bytes(32, "little"))


P448 = 2**448 - 2**224 - 1
LOW_ORDER_448 = [0, 1, P448 - 1, P448, P448 + 1]  # order 2, and 4 on the curve and on its twist; then 0 and 1 in their other encodings
X448_LENGTHS = [0, 1, 8, 28, 31, 32, 33, 54, 55, 57, 58, 64, 65, 111, 112]


def test_sm_063_a14_twenty_bad_curve448_values_are_refused():
    values = [point.to_bytes(56, "little") for point in LOW_ORDER_448] + [b"\x05" * length for length in X448_LENGTHS]
    assert len(values) == 20
    for value in values:
        refused_by_both_roles(METHODS["curve448-sha512"], value)


CURVES = {"ecdh-sha2-nistp256": ec.SECP256R1(), "ecdh-sha2-nistp384": ec.SECP384R1(), "ecdh-sha2-nistp521": ec.SECP521R1()}


def bad_points(point: bytes, curve: ec.EllipticCurve) -> list[bytes]:
    """Twenty that are none of `curve`, from one that is."""
    width = (curve.key_size + 7) // 8
    x, y = point[1 : 1 + width], point[1 + width :]
    odd = y[-1] & 1
    others = [METHODS[name].start_client().public for name, other in CURVES.items() if other.name != curve.name]
    flipped = x + bytes([*y[:-1], y[-1] ^ 1])
    return [
        b"",
        b"\0",  # infinity
        b"\0" * len(point),
        b"\4",
        b"\4" + bytes(2 * width),
        b"\4" + x + x,  # off the curve
        b"\4" + x + bytes(width),
        b"\4" + flipped,
        b"\4" + y + x,
        b"\4" + b"\xff" * 2 * width,  # coordinates not below the field's prime
        bytes([2 + odd]) + x,  # compressed
        bytes([3 - odd]) + x,
        bytes([6 + odd]) + x + y,  # hybrid form
        b"\5" + x + y,
        x + y,
        b"\4" + x + y[:-1],
        b"\4" + x + y + b"\0",
        b"\4\0" + x + y,
        *others,
    ]


@pytest.mark.parametrize("name", CURVES)
def test_sm_064_a14_twenty_bad_points_are_refused(name):
    recipe = METHODS[name]
    bad = bad_points(recipe.start_client().public, CURVES[name])
    assert len(bad) == 20
    for share in bad:
        refused_by_both_roles(recipe, share)


HYBRIDS = {  # the bytes of the encapsulation key and of the ciphertext, and what their curve calls itself here
    "mlkem768x25519-sha256": (1184, 1088, ""),
    "mlkem768nistp256-sha256": (1184, 1088, "ecdh-sha2-nistp256"),
    "mlkem1024nistp384-sha384": (1568, 1568, "ecdh-sha2-nistp384"),
}


@pytest.mark.parametrize("name", [name for name in HYBRIDS if "nistp" in name])
def test_sm_064_a14_a15_twenty_bad_points_are_refused_inside_the_hybrids(name):
    recipe, (key_bytes, ciphertext_bytes, curve) = METHODS[name], HYBRIDS[name]
    share = recipe.start_client()
    server_public, _ = recipe.respond(share.public)
    for point in bad_points(share.public[key_bytes:], CURVES[curve]):
        with pytest.raises(KeyExchangeError):
            recipe.respond(share.public[:key_bytes] + point)
        with pytest.raises(KeyExchangeError):
            share.finish(server_public[:ciphertext_bytes] + point)


GROUPS = {
    "diffie-hellman-group14-sha1": GROUP14_PRIME,
    "diffie-hellman-group14-sha256": GROUP14_PRIME,
    "diffie-hellman-group15-sha512": GROUP15_PRIME,
    "diffie-hellman-group16-sha512": GROUP16_PRIME,
    "diffie-hellman-group17-sha512": GROUP17_PRIME,
    "diffie-hellman-group18-sha512": GROUP18_PRIME,
}


@pytest.mark.parametrize("name", GROUPS)
def test_sm_065_a14_bad_diffie_hellman_values_are_refused(name):
    p = GROUPS[name]
    numbers = [0, 1, 2, 3, 4, 7, 1 << 1000, (1 << 1000) + 3, p - 1, p, p + 1, 2 * p, -1, -2, -p, 1 - p, 1 << 20_000, (1 << 20_000) - 1]
    valid = METHODS[name].start_client().public
    other_encodings = [b"\0" + mpint_bytes(15), b"\0\0" + valid, b"\xff" + mpint_bytes(-3), b"\x80" * (p.bit_length() // 8)]
    for share in [*(mpint_bytes(number) for number in numbers), *other_encodings]:
        refused_by_both_roles(METHODS[name], share)


@pytest.mark.parametrize("name", GROUPS)
def test_the_smallest_and_the_largest_good_diffie_hellman_values_are_taken(name):
    p = GROUPS[name]
    for value in (15, p - 2):
        METHODS[name].respond(mpint_bytes(value))


STRENGTHS = {GROUP14_PRIME: 112, GROUP15_PRIME: 128, GROUP16_PRIME: 150, GROUP17_PRIME: 175, GROUP18_PRIME: 192}  # RFC 3526 §8's lower ones


@pytest.mark.parametrize(("prime", "strength"), STRENGTHS.items(), ids=[f"group{number}" for number in range(14, 19)])
def test_a16_private_exponents_have_twice_the_strength(prime, strength):
    # Bytes taken for bits would show as exponents of some 30 bits. A few leading zero bits are chance: 2^-40 for 40 of them.
    sizes = [generate_dh_key(prime).private_numbers().x.bit_length() for _ in range(200 if prime.bit_length() < 5000 else 25)]
    assert max(sizes) >= 2 * strength
    assert min(sizes) >= 2 * strength - 40


def test_diffie_hellman_gives_users_no_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recipe = METHODS["diffie-hellman-group14-sha256"]
        share = recipe.start_client()
        share.finish(recipe.respond(share.public)[0])
    assert caught == []


every_hybrid = pytest.mark.parametrize("name", HYBRIDS)


@every_hybrid
def test_a15_ml_kem_keys_that_are_not_canonical_are_refused(name):
    recipe, (key_bytes, _, _) = METHODS[name], HYBRIDS[name]
    share = recipe.start_client().public
    for at in (0, 3, key_bytes - 35):  # 12-bit coefficients, two in three bytes, then 32 bytes of seed; 3329 and more are not below q
        for coefficients in (b"\x01\xdd\xd0", b"\xff\xff\xff"):
            with pytest.raises(KeyExchangeError):
                recipe.respond(share[:at] + coefficients + share[at + 3 :])


@every_hybrid
def test_a15_both_parts_have_their_exact_length(name):
    recipe, (key_bytes, ciphertext_bytes, _) = METHODS[name], HYBRIDS[name]
    share = recipe.start_client()
    server_public, _ = recipe.respond(share.public)
    for less, more in ((1, 0), (0, 1), (32, 0), (0, 32), (key_bytes, 0)):
        moved = share.public[: key_bytes - less] + bytes(more) + share.public[key_bytes:]
        with pytest.raises(KeyExchangeError):
            recipe.respond(moved)
        with pytest.raises(KeyExchangeError):
            share.finish(server_public[: ciphertext_bytes - less] + bytes(more) + server_public[ciphertext_bytes:])


@every_hybrid
def test_a15_a_forged_ml_kem_ciphertext_gives_another_secret_and_no_error(name):
    recipe = METHODS[name]
    share = recipe.start_client()
    server_public, server_secret = recipe.respond(share.public)
    forged = bytes([server_public[0] ^ 1]) + server_public[1:]
    assert share.finish(forged) != server_secret


@every_hybrid
def test_a15_both_halves_of_the_hybrid_count(name):
    recipe, (_, ciphertext_bytes, _) = METHODS[name], HYBRIDS[name]
    share, other = recipe.start_client(), recipe.start_client()
    server_public, server_secret = recipe.respond(share.public)
    other_public, _ = recipe.respond(share.public)
    assert share.finish(other_public[:ciphertext_bytes] + server_public[ciphertext_bytes:]) != server_secret
    assert share.finish(server_public[:ciphertext_bytes] + other_public[ciphertext_bytes:]) != server_secret
    assert other.finish(server_public) != server_secret


QUICK = [name for name, recipe in METHODS.items() if not recipe.slow]


@settings(max_examples=150)
@given(name=st.sampled_from(QUICK), public=st.binary(max_size=1300))
def test_noise_raises_nothing_but_key_exchange_errors(name, public):
    for take in (METHODS[name].respond, METHODS[name].start_client().finish):
        try:
            take(public)
        except KeyExchangeError:
            pass


@pytest.mark.parametrize("name", QUICK)
def test_flipped_bytes_of_a_good_share_raise_nothing_but_key_exchange_errors(name):
    share = METHODS[name].start_client()
    server_public, secret = METHODS[name].respond(share.public)
    for at in range(0, len(server_public), 7):
        damaged = server_public[:at] + bytes([server_public[at] ^ 0x55]) + server_public[at + 1 :]
        try:
            assert share.finish(damaged) != secret
        except KeyExchangeError:
            pass


@given(st.binary(min_size=1, max_size=70))
def test_mpint_secrets(raw):
    value, end = read_mpint(mpint_secret(raw), 0)
    assert value == int.from_bytes(raw, "big")
    assert end == len(mpint_secret(raw))


def test_secrets_at_the_edges():
    assert mpint_secret(b"\x80" + bytes(31)) == b"\0\0\0\x21\0\x80" + bytes(31)  # a sign byte comes
    assert mpint_secret(bytes(2) + b"\x7f" * 30) == b"\0\0\0\x1e" + b"\x7f" * 30  # leading zeros go
    raw = secrets.token_bytes(32)
    assert string_secret(raw) == b"\0\0\0\x20" + raw
