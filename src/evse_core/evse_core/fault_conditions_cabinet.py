"""Conditions of the fault table on a cabinet of power modules that several EVSEs share. See fault_conditions.py for what a condition returns.

They are about what module_allocator sees of the switches. The allocator itself lets no switch move that could do harm (module_switching.py), and so does the
interlock of the cabinet: what is seen here happened in spite of both.
"""

from evse_core.fault_conditions import silence
from evse_core.safety_inputs import Input
from evse_core.safety_view import View
from evse_core.types import CabinetReport


def _told(view: View) -> CabinetReport | None:
    return view.cabinet if view.config.has_cabinet else None


def outlets_connected(view: View) -> str | None:
    """A module is seen to connect this outlet with another one."""
    report = _told(view)
    return report.bridged if report is not None else (None if view.config.has_cabinet else "")


def module_switch_stuck(view: View) -> str | None:
    """A switch of a module is not as it is commanded."""
    report = _told(view)
    return report.stuck if report is not None else (None if view.config.has_cabinet else "")


def module_lost(view: View) -> str | None:
    """A module of the cabinet is silent or does not work."""
    report = _told(view)
    return report.lost if report is not None else (None if view.config.has_cabinet else "")


def cabinet_silent(view: View) -> str | None:
    """Nobody tells how the switches of the cabinet stand."""
    return silence(view, Input.CABINET, view.config.cabinet_timeout) if view.config.has_cabinet else ""
