"""Which tariff holds at an EVSE: that of the station description, or one that a CSMS gave in its place, over restarts, too.

A tariff from a CSMS holds until the description has another one than that which it replaced.
"""

from collections.abc import Callable
from dataclasses import replace

from evse_core.record_store import Store
from evse_core.tariff import Tariff, TariffChange


class HeldTariff:
    """The tariff of new sessions. `note` gets words for the log, after a level of logging's."""

    def __init__(self, described: Tariff, store: Store, note: Callable[[str, str], None]) -> None:
        self._described, self._store, self._note = described, store, note
        # When the CSMS gave what holds in place of the description's tariff; None: the latter holds. ROS time [s]
        self._given_at: float | None = None
        self.tariff = self._kept()

    def _kept(self) -> Tariff:
        """Return the tariff that holds at a start: the CSMS's, unless the description's has changed since or it is none."""
        change = self._store.kept_tariff()
        if change is None or change.old != self._described.text():
            return self._described
        try:
            found = Tariff.parse(change.new)
        except ValueError as error:
            self._note("ERROR", f"the tariff that {change.who} gave cannot be used, that of the description holds: {error}")
            return self._described
        self._given_at = change.stamp
        return found

    def given_since(self, stamp: float) -> bool:
        """Return whether an earlier run took what holds from a CSMS at or after a ROS time [s]."""
        return self._given_at is not None and self._given_at >= stamp

    def take(self, tariff: Tariff, who: str, stamp: float) -> TariffChange:
        """Have another tariff hold; returns the change. Store.Error: nothing has changed."""
        change = TariffChange(self.tariff.text(), tariff.text(), who, stamp)
        self._store.keep_tariff(replace(change, old=self._described.text()))
        self.tariff = tariff
        return change
