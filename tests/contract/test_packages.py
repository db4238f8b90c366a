"""What has to agree between node specifications, packages, requirements and the one command."""

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from evse_tools.description import from_data
from evse_tools.node_specs import NodeSpec, node_specs

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"


def entry_points(package: str) -> dict[str, str]:
    """Return executables of a package with what they run, from its setup.py."""
    call = next(
        node
        for node in ast.walk(ast.parse((ROOT / "src" / package / "setup.py").read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    )
    scripts: dict[str, Any] = next(ast.literal_eval(word.value) for word in call.keywords if word.arg == "entry_points")
    return dict(line.split(" = ") for line in scripts["console_scripts"])


def every_spec() -> list[NodeSpec]:
    files = [
        yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8"))
        for name in ("single_evse.yaml", "ccs.yaml", "ac_three_phase.yaml", "cabinet.yaml", "modbus_meter.yaml", "can_meter.yaml")
    ]
    specs = [
        spec for data in files for composition in ("node", "evse") for spec in node_specs(from_data(data | {"composition": composition}))
    ]
    return list({(spec.package, spec.executable): spec for spec in specs}.values())


@pytest.mark.parametrize("spec", every_spec(), ids=lambda spec: spec.executable)
def test_every_process_is_an_executable_of_its_package_that_exists(spec: NodeSpec) -> None:
    module, function = entry_points(spec.package)[spec.executable].split(":")
    tree = ast.parse((ROOT / "src" / spec.package / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)


def test_every_executable_of_the_nodes_is_started_by_some_description() -> None:
    started = {(spec.package, spec.executable) for spec in every_spec()}
    offered = {(package, name) for package in ("evse_nodes", "evse_simulators") for name in entry_points(package)}
    assert offered <= started


@pytest.mark.parametrize("file", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda path: path.name)
def test_requirements_are_exact_hashed_and_name_no_index(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*--(index|extra-index|find-links)", text, re.MULTILINE)
    entries = [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def pins(file: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", (REQUIREMENTS / file).read_text(encoding="utf-8"), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def test_the_three_locks_agree() -> None:
    """They are installed together: one package cannot have two versions."""
    locks = [pins(f"{name}.txt") for name in ("ros-jazzy", "station", "dev")]
    for name in set().union(*locks):
        versions = {frozenset(lock[name]) for lock in locks if name in lock}
        assert len(versions) == 1, f"{name}: {versions}"


@pytest.mark.parametrize("name", ["uv", "ros-jazzy", "station", "dev"])
def test_what_is_asked_for_is_locked(name: str) -> None:
    wanted = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", (REQUIREMENTS / f"{name}.in").read_text(encoding="utf-8"), re.MULTILINE)
    missing = {re.sub(r"[-_.]+", "-", word.lower()) for word in wanted} - pins(f"{name}.txt").keys()
    assert not missing, "lock again, see CONTRIBUTING.md"


@pytest.mark.parametrize("script", ["station", ".ci/run"])
def test_scripts_are_executable_and_bash_can_read_them(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_the_command_explains_itself_without_setting_anything_up(tmp_path: Path) -> None:
    """A copy elsewhere has no environment; help must work there all the same and touch nothing."""
    copy = tmp_path / "station"
    copy.write_bytes((ROOT / "station").read_bytes())
    copy.chmod(0o755)
    answer = subprocess.run([str(copy), "help"], capture_output=True, text=True, check=True, timeout=10)
    for word in ("demo", "up", "sim", "analyze", "doctor", "test"):
        assert re.search(rf"^  {word}\b", answer.stdout, re.MULTILINE)
    assert [path.name for path in tmp_path.iterdir()] == ["station"]
