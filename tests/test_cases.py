"""Every case that concerns us so far is a test with the case's number in its name; the documentation's table is made from them."""

from __future__ import annotations

import pytest

from tests.case_list import CASES, SECTIONS
from tests.case_scan import FAMILIES, ids_in, is_known, read_ids

COVERED = {
    "SM": [*range(1, 111), *range(158, 165)],
    "A": range(1, 31),
    "B": range(1, 24),
    "E": range(1, 16),
    "POL": (1, 2, 6, 7),
    "RES": (*range(1, 10), 11, *range(13, 23), 29, 30, 32),
    "FLT": (*range(1, 17), 18, 19, 28, 29),
    "TRI": range(1, 30),
    "PAIN": [*range(1, 6), 21, 22, 23, 25, 26],
    "G": range(1, 5),
}
"""What of each family concerns the transport, keys, trust and logins. A31 is not claimed."""


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("test_sm_034_sm_035_noise", ["SM-034", "SM-035"]),
        ("test_a02_res_20_flt_07_tri_12_pol_01_pain_03_g1_p8", ["A02", "RES-20", "FLT-07", "TRI-12", "POL-01", "PAIN-03", "G1", "P8"]),
        ("sm_019-aes128-gcm", ["SM-019"]),
        ("test_noise_then_b13", ["B13"]),
        ("test_sha256_p256_rfc_7748_aes128_sm_54_of_4096", []),
    ],
)
def test_ids_are_whole_words(name, ids):
    assert ids_in(name) == ids


def test_ids_of_parameters_are_found(tmp_path):
    (tmp_path / "test_x.py").write_text(
        "WAYS = [pytest.param(1, id='sm_001-one'), pytest.param(2, id='two sm_002')]\n"
        "@pytest.mark.parametrize('way', WAYS)\n"
        "@pytest.mark.parametrize('other', [1], ids=['a03'])\n"
        "def test_both(way, other): pass\n"
        "async def test_g4_other(): pass\n"
        "def helper_sm_009(): pass\n"
    )
    assert read_ids(tmp_path) == {"SM-001": ["test_x.py::test_both"], "A03": ["test_x.py::test_both"], "G4": ["test_x.py::test_g4_other"]}


def test_the_list_is_what_is_covered():
    digits = {"SM": "-{:03}", "A": "{:02}", "B": "{:02}", "E": "{:02}", "G": "{}"}
    wanted = [family + digits.get(family, "-{:02}").format(n) for family, numbers in COVERED.items() for n in numbers]
    assert sorted(CASES) == sorted(wanted)
    assert len(CASES) == sum(len(section) for section in SECTIONS.values())
    assert all(is_known(number) for number in CASES)
    assert set(COVERED) <= set(FAMILIES)


def test_every_case_has_a_test():
    missing = sorted(set(CASES) - set(read_ids()))
    assert not missing, f"no test's name carries {', '.join(missing)}"


def test_no_test_names_a_case_that_does_not_exist():
    unknown = {number: tests for number, tests in read_ids().items() if not is_known(number)}
    assert not unknown
