"""What a liquid-cooled cable may carry: its full current while the coolant works, and what it carries without coolant in any other case.

The coolant works where enough of it flows and it comes back cool enough, both measured. Unknown counts as not working. Between two temperatures the current
falls from the one to the other, so that a warm day costs some current and not all at once.
"""

from math import inf


def coolant_works(flow: float, temperature: float, least_flow: float, highest_temperature: float) -> bool:
    """Return whether flow [L/min] and temperature [degC] are known and good; NaN is neither."""
    return flow >= least_flow and temperature <= highest_temperature


def cable_current(most: float, uncooled: float, works: bool, temperature: float, derate_from: float, derate_to: float) -> float:
    """Return the current [A] that a cable may carry: uncooled 0 stands for one that needs no coolant, and sets no limit."""
    if uncooled <= 0.0:
        return inf
    if not works:
        return min(uncooled, most)
    left = min(max((derate_to - temperature) / max(derate_to - derate_from, 1.0), 0.0), 1.0)
    return min(uncooled, most) + max(most - uncooled, 0.0) * left
