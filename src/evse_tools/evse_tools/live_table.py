"""The table that a demo shows while it runs, and the same as one line where there is no terminal. Pure: tracks in, text out."""

from collections.abc import Sequence
from math import isfinite

from rich import box
from rich.table import Table
from rich.text import Text

from evse_core.tariff import amount, exponent
from evse_core.types import ChargeState, Reaction, Registration, UplinkState
from evse_core.words import in_words
from evse_tools.demo_track import Track

COLUMNS = ("EVSE", "state", "step", "V", "A", "kW", "kWh", "SoC", "price", "safety")
WORDS = {
    ChargeState.UNKNOWN: "no report yet",
    ChargeState.EMERGENCY: "EMERGENCY",
    ChargeState.FAULTED: "FAULTED",
    ChargeState.FINISHED: "finished",
    ChargeState.AUTHORIZED: "authorised",
    ChargeState.PREPARING: "plugged in",
}


def table(tracks: Sequence[Track], uplink: UplinkState, elapsed: float) -> Table:
    """Return the live table; elapsed since the demo's start [s]."""
    # A window of 80 columns has room for everything; long words go on in the next line.
    result = Table(
        title=f"charging station, {elapsed:.0f} s",
        caption=csms(uplink),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
        show_edge=False,
    )
    for name in COLUMNS:
        words = name in {"state", "safety"}
        result.add_column(name, justify="left" if words else "right", no_wrap=not words, max_width=14 if name == "state" else None)
    for track in tracks:
        *plain, safe = cells(track)
        result.add_row(*plain, Text(safe, style=_style(track)), style="bold" if track.is_charging else "")
    return result


def line(tracks: Sequence[Track], uplink: UplinkState, elapsed: float) -> str:
    """Return everything in a line of plain text per EVSE, for logs and pipes."""
    rows = []
    for track in tracks:
        evse, state, step, volts, amperes, kilowatts, energy, soc, price, safe = cells(track)
        rows.append(
            f"{elapsed:5.1f} s  EVSE {evse}  {state:24} {step:>5}  {volts:>5} V {amperes:>6} A {kilowatts:>5} kW  {energy} kWh  SoC {soc:>4}"
            f"  {', '.join(price.splitlines())}  {safe}  {csms(uplink)}"
        )
    return "\n".join(rows)


def cells(track: Track) -> tuple[str, ...]:
    """Return the texts of COLUMNS for an EVSE."""
    session, meter = track.session, track.meter
    return (
        str(track.evse),
        state_words(session.state),
        f"{session.step}/12" if session.step else "-",
        _number(meter.voltage, "0f"),
        _number(meter.current, "1f"),
        _number(meter.power / 1e3, "1f"),
        _number(meter.session_energy_wh / 1e3, "3f") + (f" -{meter.session_export_wh / 1e3:.3f}" if meter.session_export_wh > 0.0 else ""),
        _number(session.soc_percent, "0f", " %"),
        cost(track) if meter.session_id else "-",
        safety(track),
    )


def state_words(state: ChargeState) -> str:
    """Return a state in words."""
    return WORDS.get(state) or in_words(state)


def safety(track: Track) -> str:
    """Return the first fault, or whether power may flow."""
    state = track.safety
    if state.reaction is Reaction.UNKNOWN:
        return "no report yet"
    if state.first_fault:
        return f"{state.reaction.name}: {state.first_fault}"
    return "permit" if state.permit else "no fault"


def csms(uplink: UplinkState) -> str:
    """Return the connection to the CSMS in words."""
    if not uplink.connected:
        return f"CSMS not connected {uplink.detail}".rstrip()
    words = "connected" if uplink.registration is Registration.ACCEPTED else f"registration {uplink.registration.name.lower()}"
    return f"CSMS {words}" + (f", {uplink.queued} messages wait" if uplink.queued else "")


def cost(track: Track) -> str:
    """Return the price so far and, in lines of its own, what it is made of where that is more than energy."""
    meter, price = track.meter, track.price
    whole = money(meter.session_cost, meter.currency)
    if price.session_id != meter.session_id or len(price.lines) < 2:
        return whole
    return "\n".join([whole, *(f"{line.what} {amount(line.amount, exponent(price.currency))}" for line in price.lines)])


def money(minor: int, currency: str) -> str:
    """Return an amount of minor units with its currency."""
    return f"{amount(minor, exponent(currency))} {currency}".rstrip()


def _style(track: Track) -> str:
    if track.safety.reaction >= Reaction.STOP:
        return "bold red"
    return "yellow" if track.safety.first_fault else "green" if track.safety.permit else ""


def _number(value: float, places: str, unit: str = "") -> str:
    return f"{value:.{places}}{unit}" if isfinite(value) else "-"
