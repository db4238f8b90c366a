"""The known ways in which a CHAdeMO session ends, as a table: first sign, condition, who, outcome, words. The first case that fits wins.

Sources: ../shared/reference/can.md 2.3 (times), 2.4 (stop conditions), 2.7 (oddities). A stop button at the charger, its session limit and its back end look
all the same on the bus (0x109 byte 5.5 alone), so nothing here says `user`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from evse_core import chademo_context as when
from evse_core import chademo_words_anywhere as anywhere
from evse_core import chademo_words_charging as charging
from evse_core import chademo_words_start as start
from evse_core.chademo_context import Context
from evse_core.chademo_phrases import Text

COMPLETE, CHARGING, FAILED, UNKNOWN = "complete", "charging", "failed", "unknown"


@dataclass(frozen=True, slots=True)
class Case:
    """One known end: the kinds of first sign that it takes (none: no sign was seen), the condition, who ended it, the words."""

    cause: str
    ended_by: str
    outcome: str
    kinds: frozenset[str]
    when: Callable[[Context], bool]
    text: Callable[[Context], Text]

    def fits(self, context: Context) -> bool:
        kinds = {sign.kind for sign in context.signs}
        return (bool(kinds & self.kinds) if self.kinds else not kinds) and self.when(context)


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


_FAULT = _kinds("charger_malfunction", "system_malfunction")
_NONE = _kinds()

CASES: tuple[Case, ...] = (
    Case("battery_incompatible", "charger", FAILED, _kinds("battery_incompatible"), when.not_charged, start.incompatible),
    *(
        Case(f"vehicle_{kind}", "vehicle", FAILED, _kinds(kind), when.always, anywhere.vehicle_fault(kind))
        for kind in anywhere.VEHICLE_FAULTS
    ),
    Case("shifter_moved", "vehicle", FAILED, _kinds("shifter_moved"), when.always, anywhere.shifter),
    Case("vehicle_normal_stop_request", "vehicle", COMPLETE, _kinds("normal_stop_request"), when.charging, anywhere.normal_stop),
    Case("vehicle_normal_stop_request", "vehicle", FAILED, _kinds("normal_stop_request"), when.always, anywhere.normal_stop),
    Case("output_over_threshold", "charger", FAILED, _FAULT, when.over_threshold, charging.threshold),
    Case("current_path_open", "charger", FAILED, _FAULT, when.path_open, charging.open_path),
    Case("no_current_delivered", "charger", FAILED, _FAULT, when.nothing_flows, charging.no_current),
    Case("request_over_available", "charger", FAILED, _FAULT, when.over_available, charging.too_much),
    Case("no_voltage_after_contactor", "charger", FAILED, _FAULT, when.closed_without_voltage, start.no_voltage),
    Case("contactor_not_closed", "charger", FAILED, _FAULT, when.contactor_never_closed, start.not_closed),
    Case("no_current_request", "charger", FAILED, _FAULT, when.no_request, start.no_request),
    Case("request_not_answered", "charger", FAILED, _FAULT, when.request_unanswered, start.unanswered),
    Case("insulation_phase_failed", "charger", FAILED, _FAULT, when.test_not_passed, start.insulation),
    Case("live_output_before_test", "charger", FAILED, _FAULT, when.live_without_test, start.live),
    Case("no_permission", "charger", FAILED, _FAULT | {"unlocked_early"}, when.never_permitted, start.no_permission),
    Case("charger_malfunction", "charger", FAILED, _kinds("charger_malfunction"), when.always, anywhere.charger_fault),
    Case("system_malfunction", "charger", FAILED, _kinds("system_malfunction"), when.always, anywhere.charger_fault),
    Case("contactor_opened", "vehicle", FAILED, _kinds("contactor_opened"), when.charging, charging.contactor_opened),
    Case("vehicle_ended", "vehicle", COMPLETE, _kinds("request_zero"), when.charging, charging.vehicle_ended),
    Case("permission_withdrawn", "vehicle", FAILED, _kinds("permission_off"), when.charging, charging.withdrawn),
    Case("permission_withdrawn_before_charging", "vehicle", FAILED, _kinds("permission_off"), when.not_charged, start.withdrawn_early),
    Case("charging_time_over", "charger", COMPLETE, _kinds("stop_control"), when.time_ran_out, charging.time_ran_out),
    Case("stopped_at_charger", "charger", COMPLETE, _kinds("stop_control"), when.always, charging.charger_stopped),
    Case("charging_flag_cleared", "charger", UNKNOWN, _kinds("charging_cleared"), when.always, charging.cleared),
    Case("charger_gave_up", "charger", FAILED, _kinds("unlocked_early"), when.always, start.gave_up),
    Case("charger_frames_lost", "bus", FAILED, _kinds("charger_silent"), when.always, anywhere.charger_lost),
    Case("vehicle_frames_lost", "bus", FAILED, _kinds("vehicle_silent"), when.always, anywhere.vehicle_lost),
    Case("log_ends_while_charging", "unknown", CHARGING, _NONE, when.log_ends_charging, charging.still_charging),
    Case("no_charger_frames", "unknown", UNKNOWN, _NONE, when.only_vehicle, anywhere.only_vehicle),
    Case("no_vehicle_frames", "unknown", UNKNOWN, _NONE, when.only_charger, anywhere.only_charger),
    Case("both_silent", "unknown", UNKNOWN, _NONE, when.both_silent, anywhere.both_silent),
    Case("log_ends_early", "unknown", UNKNOWN, _NONE, when.always, anywhere.ends_early),
    Case(
        "unknown_sequence",
        "unknown",
        UNKNOWN,
        _kinds("battery_incompatible", "contactor_opened", "request_zero", "permission_off"),
        when.always,
        anywhere.unknown,
    ),
)
