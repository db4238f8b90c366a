"""The list of the metrology part is whole, its checksum sees every byte, and the table of the audit trail covers what a CSMS may write."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from evse_core.audit import NOT_METROLOGICAL, is_audited
from evse_core.energy_meter import MeterConfig
from evse_core.metrology import MODULES, ROOTS, checksum
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_configuration import KEYS
from evse_nodes.metrology_sources import metrology_checksum, sources

SOURCES = Path(__file__).resolve().parents[2] / "src"
OWN = ("evse_core", "evse_nodes")


def own_imports(source: str) -> Iterator[str]:
    """Yield the modules of this project that a source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OWN:
            yield from [f"{node.module}.{name.name}" for name in node.names] if node.module in OWN else [str(node.module)]
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] in OWN)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_what_the_metrology_part_imports_belongs_to_it(module: str) -> None:
    found = set(own_imports(sources([module])[module].decode()))
    assert found <= set(MODULES), f"{module} imports {sorted(found - set(MODULES))}: add them to evse_core/metrology.py, with what they do"


def test_every_module_of_the_list_is_reached_from_the_roots() -> None:
    """A module that nothing of the metrology part uses any more does not stay on the list."""
    reached, todo = set[str](), [*ROOTS]
    while todo:
        if (module := todo.pop()) not in reached:
            reached.add(module)
            todo += own_imports(sources([module])[module].decode())
    assert reached == set(MODULES)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_changed_byte_of_any_module_changes_the_checksum(module: str) -> None:
    found = sources(MODULES)
    before = checksum(found)
    content = found[module]
    assert before == metrology_checksum()
    assert checksum(found | {module: content[:-1] + bytes([content[-1] ^ 1])}) != before
    assert checksum(found | {module: content + b"\n"}) != before
    assert checksum({name: content for name, content in found.items() if name != module}) != before


def test_names_and_contents_cannot_be_pushed_into_each_other() -> None:
    assert checksum({"ab": b"c"}) != checksum({"a": b"bc"})
    assert checksum({"a": b"1", "b": b"2"}) == checksum({"b": b"2", "a": b"1"})


def test_the_checksum_is_that_of_the_sources_wherever_they_lie(tmp_path: Path) -> None:
    """A copy in another place, without and with compiled files, gives the same; a byte more gives another."""
    for package in OWN:
        shutil.copytree(SOURCES / package / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    path = [str(tmp_path), *(entry for entry in sys.path if not any(entry.endswith(package) for package in OWN))]
    program = f"import sys; sys.path[:] = {path!r}; from evse_nodes import metrology_sources as m; print(m.__file__); print(m.metrology_checksum())"

    def run() -> str:
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
        assert said[0].startswith(str(tmp_path))
        return said[1]

    assert run() == run() == metrology_checksum()
    with (tmp_path / "evse_core" / "tariff.py").open("ab") as file:
        file.write(b"\n")
    assert run() != metrology_checksum()


def test_a_key_that_a_csms_may_write_is_in_the_trail_or_named_as_none_of_its_business() -> None:
    for key in KEYS:
        if key.writable:
            assert is_audited(f"ocpp_uplink.{key.field}") != (key.field in NOT_METROLOGICAL), key.name


def test_no_secret_is_audited() -> None:
    assert not is_audited("ocpp_uplink.authorization_key")
    assert {item.name for item in fields(OcppConfig)} >= set(NOT_METROLOGICAL)


def test_an_exemption_is_about_a_key_that_exists() -> None:
    names = {item.name for item in fields(MeterConfig)}
    assert {"idle_period", "charging_period"} <= names
