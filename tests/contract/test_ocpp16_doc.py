"""docs/ocpp16.md says what the tables say, and the tables what the station does."""

from dataclasses import fields
from pathlib import Path

from ocpp.v16 import call

from evse_core import ocpp16_requests as requests
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_actions import TABLE, Side
from evse_core.ocpp16_configuration import StationFacts, get
from evse_nodes.message_queue import MessageQueue
from evse_nodes.ocpp_settings import Settings
from evse_nodes.ocpp_uplink import OcppUplink
from evse_tools.ocpp16_doc import ocpp16_markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ocpp16.md"


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == ocpp16_markdown(), "run ./station docs"


def test_the_table_has_every_action_that_the_library_knows() -> None:
    known = {name for name in vars(call) if isinstance(getattr(call, name), type) and name[0].isupper() and not name.endswith("Payload")}
    assert {row.name for row in TABLE} == known - {"Any", "Dict", "List", "Optional"}


def test_the_table_says_who_answers_each_call(tmp_path: Path) -> None:
    uplink = OcppUplink(
        OcppConfig(), (1,), MessageQueue(tmp_path / "q.sqlite"), Settings(tmp_path / "s.json"), lambda event: None, lambda old, new: True
    )
    rooms = {name: f"ocpp_{room.name}" for room in fields(uplink.rooms) for name in getattr(uplink.rooms, room.name).handlers()}
    answered = dict.fromkeys(requests.SUPPORTED, "ocpp16_requests") | rooms
    uplink.close()
    assert {row.name: row.part for row in TABLE if row.sender is Side.CSMS and row.part} == answered


def test_supported_profiles_are_those_whose_calls_are_answered() -> None:
    told = {item["key"]: item.get("value") for item in get(OcppConfig(), StationFacts())["configurationKey"]}["SupportedFeatureProfiles"]
    assert told == "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger"
