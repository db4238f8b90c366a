"""What the charging sequence sees in one step of an AC output with a control pilot (IEC 61851-1): plug, vehicle and output are the I/O board's word."""

from evse_core.charge_sequencer_view import View
from evse_core.control_pilot import CONNECTED, LEAST, READY
from evse_core.types import AcReport, IoReport, PilotState, VehicleReport

_NOTHING = AcReport()


class PilotView(View):
    """One step as guards and outputs see it. Where the pilot shows F or E nobody knows whether a vehicle is there."""

    __slots__ = ()

    @property
    def plugged(self) -> bool:
        """A vehicle is at the control pilot."""
        return pilot(self).pilot_state in CONNECTED

    @staticmethod
    def is_out(vehicle: VehicleReport | None, io: IoReport | None) -> bool:
        """Return whether no vehicle is at the control pilot."""
        return io is not None and io.ac.pilot_state is PilotState.A

    @property
    def may_unlock(self) -> bool:
        """The contactor is open, and there is no voltage behind it."""
        return self.contactor_open and self.io is not None and not self.io.ac.output_live

    @property
    def hot(self) -> bool:
        """The connector is locked or energised, as far as is known."""
        return self.io is not None and (self.io.locked or self.io.contactor_closed or self.io.ac.output_live)

    @property
    def output_words(self) -> str:
        """What is known of the output, in words."""
        if self.io is None:
            return "not known"
        return "mains voltage" if self.io.ac.output_live or self.io.contactor_closed else "no voltage"


def pilot(view: View) -> AcReport:
    """Return what the board tells of its AC side; nothing where it is silent."""
    return view.io.ac if view.io is not None else _NOTHING


def asks(view: View) -> bool:
    """Return whether the vehicle is ready to be charged: state C, and D in a ventilated room."""
    state = pilot(view).pilot_state
    return state is PilotState.C or (state is PilotState.D and view.config.ventilated)


def is_simplified(view: View) -> bool:
    """Return whether a vehicle went to state C without having been in B: a simplified pilot (can.md 3.3)."""
    return pilot(view).pilot_state in READY and not view.driver.waited


def unusable(view: View) -> str:
    """Return why cable or vehicle cannot be served, in words; "" where they can."""
    if view.io is None:
        return ""
    ac, config = view.io.ac, view.config
    if config.socket_outlet and ac.pilot_state in CONNECTED and not ac.cable_current >= LEAST:
        return f"the cable's coding says {ac.cable_current:.0f} A" if ac.cable_current == 0.0 else "the cable's coding is not known"
    if ac.pilot_state is PilotState.D and not config.ventilated:
        return "the vehicle needs ventilation (state D), which this room does not have"
    if is_simplified(view) and config.simplified_current < LEAST:
        return "the vehicle has a simplified control pilot, which is not served"
    return ""
