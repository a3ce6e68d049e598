"""Which cipher comes first on which machine."""

from __future__ import annotations

import pytest

from trio_ssh.crypto.processor import default_ciphers, has_aes_instructions, processor_has_aes
from trio_ssh.crypto.suites import DEFAULT_CIPHERS

INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vme sse2 pclmulqdq aes avx\nbugs\t\t: none\n"
OLD_INTEL = "processor\t: 0\nflags\t\t: fpu vme sse2 aes_like pclmulqdq\n"
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd evtstrm aes pmull sha1\nCPU implementer\t: 0x41\n"
RASPBERRY = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
MACHINES = [
    (INTEL, "x86_64", True),
    (OLD_INTEL, "x86_64", False),
    (ARM, "aarch64", True),
    (RASPBERRY, "aarch64", False),
    ("processor\t: 0\nisa\t\t: rv64imafdc\n", "riscv64", False),
    ("processor\t: 0\ncpu\t\t: POWER9\n", "ppc64le", True),
    ("vendor_id       : IBM/S390\nfeatures\t: esan3 zarch stfle msa\n", "s390x", True),
    ("flags :\n", "x86_64", False),
    ("", "x86_64", True),  # no such file: macOS, Windows, BSD
    ("", "arm64", True),
    ("", "AMD64", True),
    ("", "i386", False),
    ("", "", False),
]


@pytest.mark.parametrize(("cpuinfo", "machine", "expected"), MACHINES)
def test_what_processors_say(cpuinfo, machine, expected):
    assert processor_has_aes(cpuinfo, machine) is expected


def test_the_order_on_this_machine():
    order = default_ciphers()
    assert sorted(order) == sorted(DEFAULT_CIPHERS)
    assert order[0] == ("aes128-gcm@openssh.com" if has_aes_instructions() else "chacha20-poly1305@openssh.com")
    rest = [name for name in order if not name.startswith("chacha20")]
    assert rest == [name for name in DEFAULT_CIPHERS if not name.startswith("chacha20")]
