"""Guards of a meter that is read, each with a way to break it; as mutation_table.py."""

from evse_tools.mutation_table import Mutation

READ = "unit/test_read_meter.py"
MAP = "unit/test_meter_map.py"
FAULTS = "unit/test_meter_faults.py"

METER_MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "without a reading that was asked for there is no begin",
        "record_keeper.py",
        "        return action is RecordAction.BEGIN or now - since < self._link.end_wait\n",
        "        return now - since < self._link.end_wait\n",
        (READ,),
    ),
    Mutation(
        "a begin reading is one that was made after it was asked for",
        "record_keeper.py",
        "if self.meter.read_since(self._wanted_since(action, since)) and",
        "if",
        (READ,),
    ),
    Mutation(
        "a register that fell does not count",
        "energy_meter_read.py",
        "        if min(rises) < -ROUNDING:\n",
        "        if False:\n",
        (READ,),
    ),
    Mutation(
        "a register that runs ahead of the rating has jumped",
        "energy_meter_read.py",
        "        if self._counts_on and max(excess) > self._link.jump_wh:\n",
        "        if False:\n",
        (READ,),
    ),
    Mutation(
        "a register that stands still under power is stuck",
        "energy_meter_read.py",
        "        if still > self._link.stuck_wh:\n",
        "        if False:\n",
        (READ,),
    ),
    Mutation(
        "a meter with another serial number is another meter",
        "energy_meter_read.py",
        "        if self._in_session or (self.identity and found != expected):\n",
        "        if False:\n",
        (READ,),
    ),
    Mutation(
        "what is taken off for the cable is at most the rise of the register",
        "meter_loss.py",
        "min(self._waiting, max(import_wh, 0.0))",
        "self._waiting",
        (READ,),
    ),
    Mutation(
        "a word that did not come is no value",
        "meter_map.py",
        "    if len(known) < len(found):\n        return None\n",
        "    if len(known) < len(found):\n        known = [word or 0 for word in found]\n",
        (MAP,),
    ),
    Mutation(
        "a meter that cannot be believed is a fault",
        "fault_conditions.py",
        "view.meter.meter_status not in MEASURING and not _is_seen_backwards(view)",
        "False",
        (FAULTS,),
    ),
)
