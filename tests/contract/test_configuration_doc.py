"""docs/configuration.md says what the models of the description say."""

from pathlib import Path

from evse_tools.configuration_doc import configuration_markdown
from evse_tools.description_schema import BRIDGE, EVSE_SECTIONS, STATION_SECTIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def test_the_page_is_what_the_models_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == configuration_markdown(), "run ./station docs"


def test_every_parameter_of_every_rule_has_a_row() -> None:
    page = configuration_markdown()
    sources = {f"evses[].{name}": source for name, source in (EVSE_SECTIONS | {"can_bridge": BRIDGE}).items()} | STATION_SECTIONS
    for name, source in sources.items():
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for key in set(source.load().__dataclass_fields__) - set(source.without):
            assert f"| `{key}` |" in section, f"{name}.{key}"
