"""Guards of the rules, each with a way to break it: what the tests must notice. Data only; mutation_bench.py breaks them, tests/contract holds the texts."""

from dataclasses import dataclass

# Tests that are tried for a mutant, in this order, from the quick to the slow. Each is a pytest target below tests/.
GATE = "unit/test_permit_gate.py"
BRIDGE = "unit/test_can_bridge.py"
MONITOR = "unit/test_safety_monitor.py"
TABLE = "unit/test_fault_table.py"
SEQUENCE = "unit/test_charge_sequencer.py"
STOPS = "unit/test_charge_sequencer_stops.py"
CURRENT = "unit/test_charge_sequencer_current.py"
DRIVER = "unit/test_charge_sequencer_driver.py"
SITE = "unit/test_energy_manager.py"
LED = "unit/test_secc_world.py"
LED_PROTOCOLS = "unit/test_secc_protocols_world.py"


@dataclass(frozen=True, slots=True)
class Mutation:
    """A guard by name: the file of evse_core, the text that must be in it once, what it is replaced by, and the tests that should notice."""

    name: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]


MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "permit gate: no permit, no power",
        "permit_gate.py",
        "        if not inputs.safety.value.permit:\n",
        "        if False:\n",
        (GATE, BRIDGE),
    ),
    Mutation(
        "permit expires after 200 ms",
        "permit_gate.py",
        "        if fresh(inputs.safety, now, self._permit_timeout) is None:\n",
        "        if fresh(inputs.safety, now, 10.0) is None:\n",
        (GATE, BRIDGE),
    ),
    Mutation(
        "stale commands cut power",
        "permit_gate.py",
        "        return CutCause.COMMAND_STALE if self.commands_stale(inputs, now) else CutCause.NONE",
        "        return CutCause.NONE",
        (GATE, BRIDGE),
    ),
    Mutation(
        "a cut is latched",
        "permit_gate.py",
        "        cause = self._latched or reason\n",
        "        cause = reason\n",
        (GATE, BRIDGE),
    ),
    Mutation(
        "a step on a full bus sees that an input has run out",
        "can_bridge.py",
        "and now < self._wake - 2.0 * JUST_AFTER\n",
        "and now < self._wake + 1.0\n",
        (BRIDGE,),
    ),
    Mutation(
        "without a sequencer what devices say counts at once",
        "can_bridge.py",
        "        waits = not self._news and not self._silent and ",
        "        waits = not self._news and ",
        (BRIDGE,),
    ),
    Mutation(
        "a charge controller's emergency stop is acted upon at once",
        "can_bridge.py",
        "        if waits and self._vehicle.cut_cause(now) is self._inputs.link:\n",
        "        if waits:\n",
        (LED,),
    ),
    Mutation(
        "a contactor without permission is told to open",
        "can_bridge.py",
        "            io = replace(io, close_contactor=False, ",
        "            io = replace(io, ",
        (BRIDGE,),
    ),
    Mutation(
        "silence of an input withdraws the permit",
        "safety_monitor.py",
        "        found += [self._silence(name, view.ages[name]) for name in view.missing()]\n",
        "",
        (MONITOR,),
    ),
    Mutation(
        "an emergency withdraws the permit",
        "safety_monitor.py",
        "for held in self._held.values() if held.reaction is Reaction.EMERGENCY]",
        "for held in self._held.values() if held.reaction is Reaction.UNKNOWN]",
        (MONITOR,),
    ),
    Mutation(
        "a permit only in states of power",
        "safety_monitor.py",
        "        return found if view.state in PERMIT_STATES else ",
        "        return found if view.state in ChargeState else ",
        (MONITOR,),
    ),
    Mutation(
        "an operator's latch is not opened by unplugging",
        "safety_monitor.py",
        "        return off and (operator or (held.reset is Reset.UNPLUG and view.unplugged))",
        "        return off and (operator or view.unplugged)",
        (MONITOR, TABLE),
    ),
    Mutation(
        "what ends a session is not cleared while power may flow",
        "safety_monitor.py",
        "            return held.reaction is not Reaction.STOP or not view.energised\n",
        "            return True\n",
        (TABLE, MONITOR),
    ),
    Mutation(
        "a reset does not clear what is still there",
        "safety_monitor.py",
        "        if held.gone is None:\n            return False\n",
        "",
        (MONITOR, TABLE),
    ),
    Mutation(
        "a fault that is held gets worse",
        "safety_monitor.py",
        "        worse = self._keep(replace(held, reaction=max(held.reaction, effect.reaction), reset=max(held.reset, effect.reset)))",
        "        worse = held",
        (MONITOR, TABLE),
    ),
    Mutation(
        "what waits for an operator outlives the monitor",
        "safety_monitor.py",
        "for name, held in self._held.items() if held.reset is Reset.OPERATOR)",
        "for name, held in self._held.items() if held.reset is Reset.UNPLUG)",
        (MONITOR,),
    ),
    Mutation(
        "what ended a session stays its cause",
        "safety_monitor.py",
        "_RANK = {reaction: min(reaction, Reaction.STOP) for reaction in Reaction}",
        "_RANK = {reaction: reaction for reaction in Reaction}",
        (MONITOR,),
    ),
    Mutation(
        "restarts of a node make a loop",
        "node_watch.py",
        "            if belongs(name) and count > limit:",
        "            if belongs(name) and count > 1000 * limit:",
        (TABLE,),
    ),
    Mutation(
        "over-voltage of the vehicle",
        "fault_conditions.py",
        "if not voltage <= limit + view.config.over_voltage_tolerance else",
        "if not voltage <= limit + 1e3 else",
        (TABLE, MONITOR),
    ),
    Mutation(
        "over-voltage of the rating",
        "fault_conditions.py",
        "    if max(known, default=0.0) > limit:\n",
        "    if max(known, default=0.0) > 10.0 * limit:\n",
        (TABLE, MONITOR),
    ),
    Mutation(
        "over-current",
        "fault_conditions.py",
        "    allowed = view.allowed_current\n",
        "    allowed = view.allowed_current + 1e3\n",
        (TABLE, MONITOR),
    ),
    Mutation(
        "voltage at an unlocked connector",
        "fault_conditions.py",
        " if dangerous and not view.io.locked else ",
        " if dangerous and view.io.locked else ",
        (TABLE, MONITOR),
    ),
    Mutation(
        "a stop that is not followed becomes an emergency",
        "fault_conditions.py",
        " if view.energised and view.unfollowed_stop else ",
        " if False else ",
        (TABLE, MONITOR),
    ),
    Mutation(
        "locked before anything is energised",
        "charge_sequencer_facts.py",
        '        "the lock": session.locked and io is not None and io.locked,\n',
        "",
        (SEQUENCE, STOPS),
    ),
    Mutation(
        "begin reading on disk before anything is energised",
        "charge_sequencer_facts.py",
        '        "the begin reading": session.recorded,\n',
        "",
        (SEQUENCE, STOPS),
    ),
    Mutation(
        "a permit before anything is energised",
        "charge_sequencer_facts.py",
        '        "the permit": view.permit,\n',
        "",
        (SEQUENCE, STOPS),
    ),
    Mutation(
        "a dead connector before the vehicle's contactor may close",
        "charge_sequencer_facts.py",
        '        "a dead connector": view.output_voltage <= view.config.voltage_before,\n',
        "",
        (SEQUENCE, STOPS),
    ),
    Mutation(
        "unlocked only at a low voltage",
        "charge_sequencer_view.py",
        "        return self.output_voltage <= self.config.unlock_voltage\n",
        "        return True\n",
        (STOPS, SEQUENCE),
    ),
    Mutation(
        "the contactor opens only without current",
        "charge_sequencer_view.py",
        "        return abs(self.current) <= self.config.opening_current\n",
        "        return True\n",
        (STOPS, SEQUENCE),
    ),
    Mutation(
        "the contactor waits for the end of the ramp",
        "charge_sequencer_watch.py",
        "    return not view.session.charged or view.elapsed >= view.config.stop_time\n",
        "    return True\n",
        (STOPS, SEQUENCE),
    ),
    Mutation(
        "the cable check looks at the insulation",
        "charge_sequencer_watch.py",
        "    good = session.at_test_voltage.since is not None and view.insulation_resistance >= view.insulation_limit\n",
        "    good = session.at_test_voltage.since is not None\n",
        (SEQUENCE, STOPS),
    ),
    Mutation(
        "the cable check needs its test voltage",
        "charge_sequencer_watch.py",
        "    good = session.at_test_voltage.since is not None and view",
        "    good = view",
        (SEQUENCE, STOPS),
    ),
    Mutation(
        "an incompatible battery is refused",
        "charge_sequencer_view.py",
        "    if not config.min_voltage <= target <= config.max_voltage:\n",
        "    if False:\n",
        (SEQUENCE, STOPS),
    ),
    Mutation(
        "a silent monitor ends the session",
        "charge_sequencer_view.py",
        "        return self.safety is not None and self.safety.permit\n",
        "        return self.safety is None or self.safety.permit\n",
        (STOPS, SEQUENCE),
    ),
    Mutation(
        "the vehicle's fault ends the session",
        "charge_sequencer_table.py",
        "    *stop(_AFTER_FRAMES, g.vehicle_fault, VEHICLE_FAULT),\n",
        "",
        (STOPS, SEQUENCE),
    ),
    Mutation(
        "authorisation before a start",
        "charge_sequencer_table.py",
        "        row(frozenset({S.AVAILABLE, S.PREPARING}), g.token_presented, S.AUTHORIZING),\n",
        "        row(frozenset({S.AVAILABLE, S.PREPARING}), g.token_presented, S.AUTHORIZED),\n",
        (DRIVER, SEQUENCE),
    ),
    Mutation(
        "the current follows the vehicle's request",
        "charge_sequencer_view.py",
        "    return max(vehicle.current_request, 0.0) if vehicle is not None and isfinite(vehicle.current_request) else 0.0\n",
        "    return 60.0\n",
        (CURRENT, SEQUENCE),
    ),
    Mutation(
        "a silent charge controller leaves no power on",
        "permit_gate.py",
        "        if inputs.link is not CutCause.NONE:\n",
        "        if False:\n",
        (LED,),
    ),
    Mutation(
        "no power for a charge controller before the insulation test",
        "charge_sequencer_secc_table.py",
        "    *stop(STARTING, _asks_out_of_order(F.PRECHARGE, F.POWER_TRANSFER), t.SYSTEM_FAULT),\n",
        "",
        (LED,),
    ),
    Mutation(
        "a charge controller's insulation test counts only with readings of our own",
        "charge_sequencer_secc_table.py",
        "    return view.session.good_readings >= view.config.led_insulation_readings\n",
        "    return True\n",
        (LED,),
    ),
    Mutation(
        "nobody but a CHAdeMO vehicle is connected without a precharge",
        "charge_sequencer_secc_facts.py",
        "    return view.controller.protocol in _CHADEMO and view.controller.plug is Plug.CHADEMO\n",
        "    return True\n",
        (LED_PROTOCOLS,),
    ),
    Mutation(
        "power waits until the battery of a CHAdeMO vehicle is connected",
        "charge_sequencer_secc_table.py",
        'connected = Guard("output above `connected_voltage`", lambda view: view.output_voltage > view.config.connected_voltage)\n',
        'connected = Guard("output above `connected_voltage`", lambda view: True)\n',
        (LED_PROTOCOLS,),
    ),
    Mutation(
        "the site's limit is shared, not exceeded",
        "energy_manager.py",
        "    left = config.site_limit - sum(shares.values())\n",
        "    left = config.site_limit\n",
        (SITE,),
    ),
)
