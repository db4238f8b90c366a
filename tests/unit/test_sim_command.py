"""`station sim`: which service an action means, and what wrong input is told."""

import math
from typing import Any

import pytest

from evse_simulators.faults import FAULTS
from evse_tools import sim_command
from evse_tools.sim_command import Call, call_for, main, parser


def call(*words: str) -> Call:
    return call_for(parser().parse_args(words))


@pytest.mark.parametrize(
    ("words", "service", "kind", "request_fields"),
    [
        (("plug-in",), "/evse_1/vehicle_simulator/plug_in", "std_srvs/Trigger", {}),
        (("unplug", "--evse", "3"), "/evse_3/vehicle_simulator/unplug", "std_srvs/Trigger", {}),
        (("start",), "/evse_1/io_board_simulator/press_start", "std_srvs/Trigger", {}),
        (("stop",), "/evse_1/io_board_simulator/press_stop", "std_srvs/Trigger", {}),
        (("vehicle-stop",), "/evse_1/vehicle_simulator/press_stop", "std_srvs/Trigger", {}),
        (("token", "04A1B2C3"), "/evse_1/io_board_simulator/present_token", "evse_msgs/PresentToken", {"token": "04A1B2C3"}),
        (
            ("fault", "door_open"),
            "/evse_1/io_board_simulator/inject_fault",
            "evse_msgs/InjectFault",
            {"fault": "door_open", "active": True},
        ),
        (
            ("fault", "over_voltage", "--heal", "--evse", "2"),
            "/evse_2/power_module_simulator/inject_fault",
            "evse_msgs/InjectFault",
            {"fault": "over_voltage", "active": False},
        ),
    ],
)
def test_an_action_is_a_service_call(words: tuple[str, ...], service: str, kind: str, request_fields: dict[str, Any]) -> None:
    assert call(*words) == Call(service, kind, request_fields)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_goes_to_the_simulator_that_can_show_it(fault: str) -> None:
    assert call("fault", fault).service == f"/evse_1/{FAULTS[fault].node}/inject_fault"


def test_a_battery_keeps_what_is_not_given() -> None:
    made = call("battery", "--soc", "55")
    assert made.request["soc_percent"] == 55.0
    assert math.isnan(made.request["capacity_kwh"])
    assert math.isnan(made.request["temperature"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "ACTION"),
        (("plugin",), "invalid choice: 'plugin'"),
        (("start", "--evse", "one"), "invalid int value: 'one'"),
        (("token",), "required: id"),
        (("battery",), "give at least one of"),
        (("fault", "emergncy_stop"), "did you mean emergency_stop?"),
        (("fault", "zzzz"), "emergency_stop "),
        (("fault",), "emergency_stop "),
    ],
)
def test_wrong_input_is_explained_and_ends_with_2(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim_command, "ask", lambda made: pytest.fail("wrong input must not reach the graph"))
    assert main(words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((True, "plugged in"), 0),
        ((True, ""), 0),
        ((False, "is plugged in already"), 1),
        (LookupError("no station"), 1),
        (TimeoutError("hangs"), 1),
    ],
)
def test_the_exit_code_says_whether_it_worked(answer: Any, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(made: Call) -> tuple[bool, str]:
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(sim_command, "knock", lambda node, service, request: None)
    monkeypatch.setattr(sim_command, "ask", ask)
    assert main(["plug-in"]) == code
