"""One message of each kind, and what can be done to its bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.agent.keyring import certified, key_of
from trio_ssh.agent import (
    AgentIdentity,
    AssociatedCertificates,
    Confirm,
    Constraint,
    Destination,
    Hop,
    HostKeySpec,
    Lifetime,
    RestrictDestination,
    SecurityKeyProvider,
)
from trio_ssh.agent import messages as m

BLOB = key_of("ssh-ed25519").public_key.blob
HOST = Hop("host.example", (HostKeySpec(BLOB), HostKeySpec(BLOB, is_authority=True)), "ada")

CONSTRAINTS: tuple[Constraint, ...] = (
    Lifetime(3600),
    Confirm(),
    SecurityKeyProvider("internal"),
    RestrictDestination((Destination(Hop(), HOST), Destination(Hop(HOST.hostname, HOST.keys), HOST))),
    AssociatedCertificates((BLOB, BLOB), certificates_only=True),
)

REQUESTS: tuple[m.Request, ...] = (
    m.RequestIdentities(),
    m.SignRequest(BLOB, b"data to sign", m.RSA_SHA2_512),
    m.AddIdentity(key_of("ssh-ed25519"), "a comment"),
    m.RemoveIdentity(BLOB),
    m.RemoveAllIdentities(),
    m.AddSmartcardKey("/usr/lib/token.so", b"1234"),
    m.RemoveSmartcardKey("/usr/lib/token.so", b"1234"),
    m.Lock(b"passphrase"),
    m.Unlock(b"passphrase"),
    m.AddIdentityConstrained(certified("ssh-ed25519"), "a comment", CONSTRAINTS),
    m.AddSmartcardKeyConstrained("/usr/lib/token.so", b"1234", CONSTRAINTS),
    m.Extension(m.SESSION_BIND, b"contents"),
)

ANSWERS: tuple[m.Answer, ...] = (
    m.Failure(),
    m.Success(),
    m.write_identities([AgentIdentity(BLOB, "mine"), AgentIdentity(certified("ssh-ed25519").certificate.blob, "a certificate")]),
    m.SignResponse(key_of("ssh-ed25519").sign("ssh-ed25519", b"data to sign")),
    m.ExtensionFailure(),
    m.ExtensionResponse(m.QUERY, m.write_names([m.QUERY, m.SESSION_BIND])),
)

WRONG_NUMBERS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(payload: bytes, seed: int = 0) -> Iterator[bytes]:
    """Cut at each byte, extended, and at each place a bit flipped and a number put in: whatever is a length or count there is hit, too."""
    rng = random.Random(seed)
    yield from (payload[:size] for size in range(len(payload)))
    yield from (payload + more for more in (b"\0", b"\xff", bytes(4), bytes(300)))
    for place in range(1, len(payload)):
        yield payload[:place] + bytes([payload[place] ^ 1 << rng.randrange(8)]) + payload[place + 1 :]
        yield payload[:place] + rng.choice(WRONG_NUMBERS).to_bytes(4, "big") + payload[place + 4 :]
