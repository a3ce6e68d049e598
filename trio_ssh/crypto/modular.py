"""Powers modulo a large number that leave other threads some time."""

from __future__ import annotations

_WINDOW_BITS = 5


def power(base: int, exponent: int, modulus: int) -> int:
    """``pow(base, exponent, modulus)`` for an exponent of 0 or more, in steps of a few microseconds to half a millisecond.

    The interpreter's lock is held during each step only, not for the whole of it. The steps are the same for all exponents of one length;
    how long each takes depends on the numbers as it does with ``pow``, so that a secret exponent should not be used for more than one
    exchange.
    """
    table = [1 % modulus]
    for _ in range((1 << _WINDOW_BITS) - 1):
        table.append(table[-1] * base % modulus)
    value = table[0]
    for shift in range((exponent.bit_length() - 1) // _WINDOW_BITS * _WINDOW_BITS, -1, -_WINDOW_BITS):
        digit = (exponent >> shift) & ((1 << _WINDOW_BITS) - 1)
        value = pow(value, 1 << _WINDOW_BITS, modulus) * table[digit] % modulus
    return value
