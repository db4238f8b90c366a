"""Whatever comes from the buses and whoever falls silent: no exception, and never power outside of the permit's rules."""

from dataclasses import dataclass, replace

from can_bench import CHARGING, CONTACTOR, DATABASES, LINES_OFF, NO_PERMIT, PERMIT, POWER_OFF, Bench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evse_core.frame import Frame
from evse_core.types import BusLink, CutCause, PowerFunction

LIMIT = 0.2
STANDBY = replace(POWER_OFF, function=PowerFunction.STANDBY)
PRECHARGE = replace(CHARGING, function=PowerFunction.PRECHARGE)
INSULATION_TEST = replace(CHARGING, function=PowerFunction.INSULATION_TEST)
POWERED = (2, 4, 8)

links = st.sampled_from([BusLink.VEHICLE, BusLink.POWER, BusLink.IO])
known = st.sampled_from([0x100, 0x101, 0x102, 0x108, 0x109, 0x110, 0x118, 0x200, 0x201, 0x202, 0x203, 0x210, 0x700])
pistols = st.integers(0, 31)
power_ids = st.sampled_from([0x63000, 0x63001, 0x63002, 0x63201, 0x6B000, 0x6B003, 0x6B203])
identifiers = st.one_of(
    known, st.integers(0, 0x7FF), st.integers(0, 0x1FFFFFFF), st.builds(lambda low, high: high << 24 | low, power_ids, pistols)
)
frames = st.builds(Frame, identifiers, st.binary(max_size=12), st.booleans())
received = st.lists(st.tuples(links, frames), max_size=60)
slow = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def take_all(bench: Bench, traffic: list[tuple[BusLink, Frame]]) -> None:
    for link, frame in traffic:
        bench.bridge.on_frame(link, frame, bench.now)
        bench.bridge.reports(bench.now)
        bench.run(0.01)


@slow
@given(received)
def test_no_frame_raises_or_energises(traffic: list[tuple[BusLink, Frame]]) -> None:
    bench = Bench()
    bench.safety = NO_PERMIT
    bench.run(0.1)
    take_all(bench, traffic)
    for _, item in bench.sent:
        decoded = DATABASES[item.link].decode(item.frame)
        assert decoded.signals.get("Power_Function", 0) not in POWERED
        assert not decoded.signals.get("Close_Contactor", 0)
        assert not decoded.signals.get("status_charging", 0)


@slow
@given(received)
def test_no_frame_takes_power_away_or_changes_what_modules_are_told(traffic: list[tuple[BusLink, Frame]]) -> None:
    bench = Bench()
    bench.charge()
    take_all(bench, traffic)
    bench.run(0.2)
    assert bench.bridge.status().cut_cause is CutCause.NONE
    control = bench.last("DC_Power_Control")
    assert (control["Power_Function"], control["Current_Range_Max"]) == (8, 50.0)


@slow
@given(received)
def test_every_frame_is_counted_once_or_is_an_echo(traffic: list[tuple[BusLink, Frame]]) -> None:
    bench = Bench()
    news = sum(bench.bridge.on_frame(link, frame, bench.now) for link, frame in traffic)
    assert sum(bus.received + bus.unknown_id + bus.malformed for bus in bench.bridge.status().buses) == news


@dataclass
class Oracle:
    """The permit's rules 2 and 3 in their plainest form, kept beside the bridge."""

    permit_at: float = -1e9
    permit: bool = False
    power_at: float = -1e9
    io_at: float = -1e9
    armed: bool = False

    def fresh(self, now: float) -> bool:
        return self.permit and now - self.permit_at <= LIMIT and now - self.power_at <= LIMIT and now - self.io_at <= LIMIT


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["permit", "no permit", "power", "precharge", "test", "standby", "off", "close", "open", "vehicle", "wait"]),
        st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.199, 0.201, 0.3]),
    ),
    max_size=40,
)
POWER_WORDS = {"power": CHARGING, "precharge": PRECHARGE, "test": INSULATION_TEST, "standby": STANDBY, "off": POWER_OFF}
IO_WORDS = {"close": CONTACTOR, "open": LINES_OFF}


@settings(deadline=None, max_examples=120)
@given(ACTIONS)
def test_power_is_on_the_bus_only_while_permit_and_commands_are_fresh_and_the_latch_is_open(actions: list[tuple[str, float]]) -> None:
    bench, oracle = Bench(), Oracle()
    power, io = None, None
    for action, pause in [("off", 0.0), ("open", 0.0), ("permit", 0.0), *actions]:
        now = bench.now = round(bench.now + pause, 6)
        # Time passes before the next word: who waits too long while power is commanded is cut.
        check(bench, oracle, power, io)
        if action in ("permit", "no permit"):
            bench.bridge.on_safety(replace(PERMIT, given=now) if action == "permit" else NO_PERMIT, now)
            oracle.permit, oracle.permit_at = action == "permit", now
        elif action in POWER_WORDS:
            power = POWER_WORDS[action]
            bench.bridge.on_power_command(power, now)
            oracle.power_at = now
        elif action in IO_WORDS:
            io = IO_WORDS[action]
            bench.bridge.on_io_command(io, now)
            oracle.io_at = now
        check(bench, oracle, power, io)


def check(bench: Bench, oracle: Oracle, power: object, io: object) -> None:
    """Ask for frames and compare them with the oracle."""
    now = bench.now
    wanted = power in (CHARGING, PRECHARGE, INSULATION_TEST) or io == CONTACTOR
    if power == POWER_OFF and io == LINES_OFF and now - oracle.power_at <= LIMIT and now - oracle.io_at <= LIMIT:
        oracle.armed = True
    elif wanted and not oracle.fresh(now):
        oracle.armed = False
    outgoing = bench.step()
    allowed = oracle.armed and oracle.fresh(now)
    for item in outgoing:
        decoded = DATABASES[item.link].decode(item.frame)
        if decoded.name == "DC_Power_Control":
            powered = decoded.signals["Power_Function"] in POWERED
            assert powered is (allowed and power in (CHARGING, PRECHARGE, INSULATION_TEST))
            assert allowed or not decoded.signals["Output_Contactors"]
        if decoded.name == "IO_Outputs":
            assert bool(decoded.signals["Close_Contactor"]) is (allowed and io == CONTACTOR)
