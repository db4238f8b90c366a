"""CMake files of wheels name folders of the machine that they were built on."""

import os
from pathlib import Path

import pytest

from evse_tools.repair_cmake_paths import repair, repaired

INCLUDE, SITE = "/usr/include/python3.11", "/opt/builder/.venv/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('set(x "/opt/python/cp311-cp311/include/python3.11")', f'set(x "{INCLUDE}")'),
        ("/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include", f"{SITE}/numpy/_core/include"),
        ("a;/opt/python/cp313-cp313t/include/python3.13t;b", f"a;{INCLUDE};b"),
        ("/opt/python/cp311-cp311/bin", "/opt/python/cp311-cp311/bin"),
        ("/usr/include/python3.11", "/usr/include/python3.11"),
    ],
)
def test_both_prefixes_are_replaced_and_nothing_else(before: str, after: str) -> None:
    assert repaired(before, INCLUDE, SITE) == after


def test_twice_does_no_harm_and_a_linked_original_stays_as_it_was(tmp_path: Path) -> None:
    cache, share = tmp_path / "cache.cmake", tmp_path / "share"
    (share / "rcl" / "cmake").mkdir(parents=True)
    cache.write_text("/opt/python/cp311-cp311/include/python3.11", encoding="utf-8")
    os.link(cache, share / "rcl" / "cmake" / "rclExport.cmake")
    assert repair(share, INCLUDE, SITE) == 1
    assert repair(share, INCLUDE, SITE) == 0
    assert (share / "rcl" / "cmake" / "rclExport.cmake").read_text(encoding="utf-8") == INCLUDE
    assert cache.read_text(encoding="utf-8") == "/opt/python/cp311-cp311/include/python3.11"
