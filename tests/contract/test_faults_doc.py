"""docs/faults.md says what the fault table says."""

from pathlib import Path

from evse_core.fault_table import FAULTS, faults_markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"


def test_the_page_of_faults_is_what_the_table_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == faults_markdown()


def test_every_fault_has_its_place_on_the_page() -> None:
    page = faults_markdown()
    for fault in FAULTS:
        assert page.count(f"\n## {fault.name}\n") == 1
        assert page.count(f"| [{fault.name}](#{fault.name}) |") == 1
