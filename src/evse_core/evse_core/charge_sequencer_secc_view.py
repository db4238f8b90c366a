"""What the charging sequence sees in one step where a charge controller (SECC) leads: the connector and the insulation test are the controller's."""

from math import isfinite
from math import nan as NAN

from evse_core.charge_sequencer_view import View
from evse_core.types import OLD_INTERFACE, IoReport, Plug, VehicleReport


class SeccView(View):
    """One step as guards and outputs see it."""

    __slots__ = ()

    @property
    def plugged(self) -> bool:
        """The controller says that the connector is in the inlet."""
        return self.controller.plugged

    @staticmethod
    def is_out(vehicle: VehicleReport | None, io: IoReport | None) -> bool:
        """Return whether the controller says that the connector is out."""
        return vehicle is not None and not vehicle.controller.plugged

    @property
    def connector_temperature(self) -> float:
        """Temperature of the hottest contact [degC], by the board's or the controller's sensors; NaN where there is none."""
        sensors = (self.io.connector_temperature if self.io is not None else NAN, self.controller.connector_temperature)
        return max((value for value in sensors if isfinite(value)), default=NAN)

    @property
    def test_voltage(self) -> float:
        """Voltage of the insulation test [V]: what the controller asks for, as far as the station bears it."""
        return min(self.config.max_voltage, self.controller.voltage) if self.controller.voltage > 0.0 else NAN

    @property
    def insulation_limit(self) -> float:
        """Lowest insulation resistance that passes [ohm], by the connector (can.md 1.4 row 8)."""
        return self.config.mcs_insulation_minimum if self.controller.plug is Plug.MCS else self.config.insulation_minimum

    @property
    def discharge_problem(self) -> str:
        """Why the controller permits no discharge, in words; "" where it does: a range that goes below 0 A does (can.md 1.4 row 12r).

        One that lies below 0 A as a whole demands a discharge; that is the site's to ask for, so 0 A flow.
        """
        low, high = self.controller.current_min, self.controller.current_max
        if not self.controller.range_mode:
            return "the charge controller names no range"
        return "" if low < 0.0 <= high else f"the range of {low:.1f} to {high:.1f} A has no part on both sides of 0 A"

    @property
    def discharge_range(self) -> float:
        """Largest current from the vehicle inside the range [A]."""
        return max(-self.controller.current_min, 0.0) if self.controller.range_mode else 0.0

    @staticmethod
    def link_problem(vehicle: VehicleReport | None) -> str:
        """Return why the controller cannot be served, in words; "" where it can."""
        if vehicle is None:
            return "the charge controller is silent"
        if vehicle.controller.interface_version == OLD_INTERFACE:
            return "the charge controller speaks interface v3.0 or older (0x680xx); v3.1 or later is needed"
        return ""
