"""Group exchange: what a client refuses to compute with, and the maths in groups that have no name (hardening A14, A16, A17)."""

from __future__ import annotations

import pytest
from asyncssh.crypto import DH
from hypothesis import given
from hypothesis import strategies as st

from trio_ssh.crypto.group_exchange import (
    BITS_MAX,
    BITS_MIN,
    BITS_WANTED,
    BUILT_IN,
    PRIME_TEST_BITS_MAX,
    Group,
    bits_wanted,
    check_group,
    group_recipe,
)
from trio_ssh.crypto.kex import KEX, GroupExchangeRecipe, KexRecipe
from trio_ssh.crypto.kex_dh import EXPONENT_BITS, dh_share_in_group, generate_exponent
from trio_ssh.crypto.modular import power
from trio_ssh.errors import KeyExchangeError
from trio_ssh.wire.primitives import mpint_bytes, read_mpint

# RFC 7919's groups are safe primes that are not in our table: 2^n - 2^(n-64) + (floor(2^(n-130) e) + x) 2^64 - 1.
FFDHE_OFFSETS = {2048: 560316, 3072: 2625351, 4096: 5736041, 8192: 10965728}


def e_times_two_to(power_of_two: int) -> int:
    """floor(e * 2^power_of_two), by the series, with 64 bits to spare."""
    term = total = 1 << (power_of_two + 64)
    k = 0
    while term:
        k += 1
        term //= k
        total += term
    return total >> 64


def ffdhe(bits: int) -> Group:
    prime = (1 << bits) - (1 << (bits - 64)) + ((e_times_two_to(bits - 130) + FFDHE_OFFSETS[bits]) << 64) - 1
    return Group(prime, 2)


UNNAMED = ffdhe(2048)


def method(name: str = "diffie-hellman-group-exchange-sha256") -> GroupExchangeRecipe:
    recipe = KEX[name]
    assert isinstance(recipe, GroupExchangeRecipe)
    return recipe


@pytest.fixture(scope="module")
def recipe() -> KexRecipe:
    return group_recipe(method(), UNNAMED)


# -- the client's check -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", BUILT_IN, ids=lambda group: str(group.bits))
def test_a17_built_in_groups_are_good(group):
    check_group(group, BITS_MIN, BITS_MAX)
    assert group.generator == 2
    assert group.bits in (2048, 3072, 4096, 6144, 8192)


@pytest.mark.parametrize("bits", FFDHE_OFFSETS)
def test_a17_other_safe_primes_are_good(bits):
    group = ffdhe(bits)
    assert group.bits == bits
    check_group(group, BITS_MIN, BITS_MAX)
    check_group(Group(group.prime, 5), BITS_MIN, BITS_MAX)


def test_sm_068_a17_a_group_outside_the_sizes_asked_for_is_refused():
    for bits in (1, 512, 1024, 2047, 8193, 16384):
        with pytest.raises(KeyExchangeError, match=f"has {bits} bits where 2048 to 8192 were asked for"):
            check_group(Group((1 << bits) - 1, 2), BITS_MIN, BITS_MAX)
    with pytest.raises(KeyExchangeError, match="has 2048 bits where 3072 to 4096"):
        check_group(UNNAMED, 3072, 4096)
    for prime in (0, -UNNAMED.prime):
        with pytest.raises(KeyExchangeError, match="were asked for"):
            check_group(Group(prime, 2), BITS_MIN, BITS_MAX)


def test_sm_068_a17_an_even_modulus_is_refused():
    with pytest.raises(KeyExchangeError, match="is even"):
        check_group(Group(UNNAMED.prime - 1, 2), BITS_MIN, BITS_MAX)


@pytest.mark.parametrize("group", [UNNAMED, BUILT_IN[0]], ids=["unnamed", "known"])
def test_sm_068_a17_a_trivial_generator_is_refused(group):
    p = group.prime
    for generator in (0, 1, -2, -p, p - 1, p, p + 1, 2 * p, 1 << 9000):
        with pytest.raises(KeyExchangeError, match="the generator"):
            check_group(Group(p, generator), BITS_MIN, BITS_MAX)


def without_small_factors(odd: int) -> int:
    """The next number above that the cheap tests let through: 3 modulo 4, and neither it nor its half has a small factor."""
    small = [n for n in range(3, 2000, 2) if pow(2, n - 1, n) == 1]
    candidate = odd - odd % 4 + 3
    while any(candidate % n in (0, 1) for n in small):
        candidate += 4
    return candidate


def test_a17_composites_are_refused():
    p = UNNAMED.prime
    sneaky = without_small_factors(p + 4)
    product = without_small_factors(1 << 1024) * (without_small_factors(1 << 1026) - 2)
    half_composite = 2 * 5 * (p // 2) + 1
    for modulus in (p + 2, p - 2, p + 4, sneaky, product, (p // 2) * 7, half_composite, (1 << 2048) - 1):
        with pytest.raises(KeyExchangeError, match="not a safe prime"):
            check_group(Group(modulus, 2), BITS_MIN, BITS_MAX)


def test_a17_a_prime_that_is_no_safe_prime_is_refused():
    mersenne = (1 << 2203) - 1  # a prime; (p - 1)/2 = 2^2202 - 1 is divisible by 3
    with pytest.raises(KeyExchangeError, match="not a safe prime"):
        check_group(Group(mersenne, 2), BITS_MIN, BITS_MAX)


def test_a17_composites_are_refused_for_small_factors_above_the_size_that_is_tested():
    p = ffdhe(8192).prime
    assert p.bit_length() > PRIME_TEST_BITS_MAX
    for modulus in (p - 2, p - 4, (p // 8) * 3 | 1, (1 << 8192) - 1):
        with pytest.raises(KeyExchangeError, match="not a safe prime"):
            check_group(Group(modulus, 2), BITS_MIN, BITS_MAX)


def test_sizes_to_ask_for_follow_the_strength_of_the_key():
    assert [bits_wanted(size) for size in (14, 16, 24, 32, 64)] == [2048, 3072, 7680, 8192, 8192]
    assert bits_wanted(16) == BITS_WANTED


# -- the maths --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["diffie-hellman-group-exchange-sha256", "diffie-hellman-group-exchange-sha1"])
@pytest.mark.parametrize("group", [UNNAMED, BUILT_IN[0]], ids=["unnamed", "known"])
def test_both_sides_agree(name, group):
    recipe = group_recipe(method(name), group)
    assert (recipe.name, recipe.hash_name, recipe.slow) == (name, name.rsplit("-", 1)[1], True)
    share = recipe.start_client()
    server_public, secret = recipe.respond(share.public)
    assert share.finish(server_public) == secret
    number, end = read_mpint(secret, 0)
    assert 1 < number < group.prime
    assert end == len(secret)


def test_diffie_hellman_in_any_group_is_what_its_definition_says():
    p, g = UNNAMED.prime, UNNAMED.generator
    exponent = generate_exponent()
    share = dh_share_in_group(p, g, exponent)
    assert int.from_bytes(share.public, "big", signed=True) == pow(g, exponent, p)
    peer_value = pow(g, 0xC0FFEE << 600, p)
    assert share.finish(mpint_bytes(peer_value)) == pow(peer_value, exponent, p).to_bytes(256, "big")


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")  # AsyncSSH passes on what cryptography says
def test_asyncssh_agrees(recipe):
    theirs = DH(UNNAMED.generator, UNNAMED.prime)
    share = recipe.start_client()
    secret = share.finish(mpint_bytes(theirs.get_public()))
    assert read_mpint(secret, 0)[0] == theirs.get_shared(int.from_bytes(share.public, "big"))


def test_sm_065_a14_twenty_bad_values_are_refused(recipe):
    p = UNNAMED.prime
    numbers = [0, 1, 2, 3, 4, 7, 1 << 1000, p - 1, p, p + 1, 2 * p, -1, -2, -p, 1 - p, 1 << 20_000, (1 << 20_000) - 1]
    shares = [mpint_bytes(number) for number in numbers] + [b"\0" + mpint_bytes(15), b"\xff" + mpint_bytes(-3), b"\x80" * 256]
    assert len(shares) == 20
    for share in shares:
        for take in (recipe.respond, recipe.start_client().finish):
            with pytest.raises(KeyExchangeError) as caught:
                take(share)
            assert caught.value.reason == 3


def test_a_value_that_gives_a_trivial_secret_is_refused():
    # Only a modulus with small subgroups has such values besides 1 and p - 1; the check lets none through, and this is the second lock.
    modulus = (1 << 2048) + 1  # modulo which 2 has the order 4096
    share = dh_share_in_group(modulus, 3, 1 << 511)
    share.finish(mpint_bytes(3**40))
    with pytest.raises(KeyExchangeError, match="trivial secret"):
        share.finish(mpint_bytes(modulus - (1 << 99)))


def test_a16_private_exponents_have_exactly_twice_the_strength_of_the_longest_key():
    exponents = {generate_exponent() for _ in range(200)}
    assert len(exponents) == 200
    assert {exponent.bit_length() for exponent in exponents} == {EXPONENT_BITS} == {2 * 256}


@given(
    base=st.integers(0, 2**200),
    exponent=st.one_of(st.integers(0, 2**20), st.integers(0, 2**300)),
    modulus=st.integers(1, 2**200),
)
def test_powers(base, exponent, modulus):
    assert power(base, exponent, modulus) == pow(base, exponent, modulus)
