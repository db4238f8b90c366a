"""docs/bidirectional.md names every field of the discharge frames with the trust level that the reference gives it."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT.parent / "shared/reference/chademo_facts.json"
FRAMES = {"0x200", "0x201", "0x208", "0x209"}
# Signals of other frames that are about discharging.
OTHERS = {("0x102", "status_discharge_compatible"), ("0x109", "discharge_compatible")}


def told() -> dict[tuple[str, str], str]:
    """Return the trust level by frame and signal as the page has it."""
    rows = re.findall(
        r"^\| (\d{3})\.[\d.]+ (\w+) \|[^|]*\| ([^|]*) \|", (ROOT / "docs/bidirectional.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    return {(f"0x{frame}", signal): trust.strip() for frame, signal, trust in rows}


@pytest.mark.skipif(not FACTS.is_file(), reason="../shared/reference is not here")
def test_trust_levels_are_those_of_the_reference() -> None:
    text = FACTS.read_text(encoding="utf-8")
    messages = next(value for value in json.loads(text).values() if isinstance(value, list) and value and "signals" in value[0])
    wanted = {
        (message["id"], signal["name"]): signal["confidence"]
        for message in messages
        for signal in message["signals"]
        if message["id"] in FRAMES or (message["id"], signal["name"]) in OTHERS
    }
    assert told() == wanted
    assert "agreed" not in wanted.values(), "a field that all sources agree upon need not be refused by default"
