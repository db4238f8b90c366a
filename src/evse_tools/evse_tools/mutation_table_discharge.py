"""Guards of a vehicle that gives power, each with a way to break it; as mutation_table.py."""

from evse_tools.mutation_table import TABLE, Mutation

GIVING = "unit/test_charge_sequencer_discharge.py"
ASKED = "unit/test_discharge_manager.py"
FRAMES = "unit/test_chademo_codec.py"

DISCHARGE_MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "no discharge below the charge that must stay",
        "charge_sequencer_discharge.py",
        "    if not soc > lowest_soc(view):\n",
        "    if False:\n",
        (GIVING,),
    ),
    Mutation(
        "no discharge below the lowest voltage",
        "charge_sequencer_discharge.py",
        "    if not view.output_voltage > lowest_voltage(view):\n",
        "    if False:\n",
        (GIVING,),
    ),
    Mutation(
        "no discharge of CHAdeMO vehicles that the builder has not allowed",
        "charge_sequencer_view.py",
        "        if not config.unverified_discharge:\n",
        "        if False:\n",
        (GIVING,),
    ),
    Mutation(
        "a discharge turns through 0 A with a pause",
        "charge_sequencer_current.py",
        "    if state.at_rest.longer_than(view.config.direction_pause, view.now):\n",
        "    if state.at_rest.since is not None:\n",
        (GIVING,),
    ),
    Mutation(
        "a request for discharge runs out",
        "discharge_manager.py",
        "        return self._asked if now < self._until else 0.0\n",
        "        return self._asked\n",
        (ASKED,),
    ),
    Mutation(
        "the site is given no more than export_limit",
        "discharge_manager.py",
        "        if power > limit:\n",
        "        if False:\n",
        (ASKED,),
    ),
    Mutation(
        "the monitor knows whether the site asks for a discharge",
        "safety_view.py",
        "    watts = min(config.max_discharge_power, vehicle_power, asked)\n",
        "    watts = min(config.max_discharge_power, vehicle_power)\n",
        (TABLE,),
    ),
    Mutation(
        "the bit of discharging never goes out without its frames",
        "codecs/chademo.py",
        "        if command.discharge_compatible:\n",
        "        if False:\n",
        (FRAMES,),
    ),
)
