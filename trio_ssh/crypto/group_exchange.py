"""Group exchange (RFC 4419): Diffie-Hellman over a group that the server chooses, and the client's check of that choice.

Theory of the check (hardening A17). What a server sends is two numbers, and a client that computes in any group it is given can be given
one in which its secret is plain: a prime that is too small, an even or composite modulus, a generator of a tiny subgroup. Range, parity
and generator cost nothing and are always checked, and so is that no small prime divides p or q = (p-1)/2. A safe prime p leaves no tiny
subgroup but {1, p-1}, so that every generator between is good; that p is one is tested as far as it is cheap:

* the groups of RFC 3526 are known;
* up to 4096 bits, one round of Miller-Rabin with a random base shows that q is prime (a composite passes with a chance of at most 1/4, and
  one that was not built to pass with next to none), and then 2^(p-1) = 1 mod p proves that p is (Pocklington);
* above that, no more. The arithmetic is Python's: the two powers take 0.05 s together at 2048 bits, 0.16 s at 3072, 0.38 s at 4096, but
  2.8 s at 8192, for which a client that asks for 3072 bits ought not to be kept. (OpenSSL would do it in a tenth, but offers only its own
  test of 64 rounds and more: 0.3 s at 2048 bits and 34 s at 8192.)

The bound costs little: the group enters the exchange hash that the server signs, so nobody but the server can have chosen it, and the
server knows the secret anyway. What the test finds is a server with a bad moduli file.

The powers are taken in small steps, so that a thread that checks a group does not keep the interpreter's lock.
"""

from __future__ import annotations

import math
import secrets
from functools import lru_cache, partial

import attrs

from ..errors import KeyExchangeError
from .dh_primes import GROUP14_PRIME, GROUP15_PRIME, GROUP16_PRIME, GROUP17_PRIME, GROUP18_PRIME
from .kex import GroupExchangeRecipe, KexRecipe, symmetric_kex
from .kex_dh import KNOWN_PRIMES, start_dh_in_group
from .modular import power

BITS_MIN = 2048  # RFC 8270 §3
BITS_WANTED = 3072
BITS_MAX = 8192  # RFC 4419 §3

PRIME_TEST_BITS_MAX = 4096
REMEMBERED = 64
"""Moduli whose test is not repeated: a server's file has some dozens of each size, and rekeys come back to them."""


@attrs.frozen
class Group:
    """The integers modulo `prime` and a generator."""

    prime: int
    generator: int

    @property
    def bits(self) -> int:
        """The size of the prime, by which groups are asked for."""
        return self.prime.bit_length()


BUILT_IN = tuple(Group(prime, 2) for prime in (GROUP14_PRIME, GROUP15_PRIME, GROUP16_PRIME, GROUP17_PRIME, GROUP18_PRIME))
"""Groups 14 to 18 of RFC 3526: 2048, 3072, 4096, 6144 and 8192 bits."""

_SMALL_PRIMES = tuple(n for n in range(3, 2000, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2)))
_SMALL_PRODUCT = math.prod(_SMALL_PRIMES)


def bits_wanted(key_bytes: int) -> int:
    """The size of a group that is as strong as a cipher key of `key_bytes` (NIST SP 800-57 part 1, table 2), within our bounds."""
    sizes = ((14, 2048), (16, 3072), (24, 7680))
    return next((bits for strength, bits in sizes if key_bytes <= strength), BITS_MAX)


def group_recipe(method: GroupExchangeRecipe, group: Group) -> KexRecipe:
    """`method` over a group that is known by now."""
    return symmetric_kex(method.name, method.hash_name, partial(start_dh_in_group, group.prime, group.generator), slow=True)


def check_group(group: Group, bits_min: int, bits_max: int) -> None:
    """Raise `KeyExchangeError` unless `group` is one that a client may use who asked for `bits_min` to `bits_max` bits.

    Takes up to 0.4 s (see above): call it in a thread.
    """
    p, g = group.prime, group.generator
    if p <= 0 or not bits_min <= group.bits <= bits_max:
        raise KeyExchangeError(f"the server's group has {group.bits} bits where {bits_min} to {bits_max} were asked for")
    if p % 2 == 0:
        raise KeyExchangeError("the modulus of the server's group is even")
    if not 1 < g < p - 1:
        raise KeyExchangeError("the generator of the server's group is out of range or trivial")
    if p not in KNOWN_PRIMES and not _may_be_safe_prime(p):
        raise KeyExchangeError("the modulus of the server's group is not a safe prime")


@lru_cache(REMEMBERED)
def _may_be_safe_prime(p: int) -> bool:
    q = p // 2
    if p % 4 != 3 or math.gcd(p * q, _SMALL_PRODUCT) != 1:
        return False
    if p.bit_length() > PRIME_TEST_BITS_MAX:
        return True
    return _passes_miller_rabin(q, 2 + secrets.randbelow(q - 3)) and power(2, 2 * q, p) == 1


def _passes_miller_rabin(n: int, base: int) -> bool:
    """One round for an odd `n`."""
    twos = ((n - 1) & (1 - n)).bit_length() - 1
    value = power(base, (n - 1) >> twos, n)
    if value in (1, n - 1):
        return True
    for _ in range(twos - 1):
        value = value * value % n
        if value == n - 1:
            return True
    return False
