"""Guards of a shared cabinet of modules and of a cooled cable, each with a way to break it; as mutation_table.py."""

from evse_tools.mutation_table import Mutation

SWITCHES = "unit/test_module_switching.py"
MODULES = "unit/test_module_allocator.py"
CABINET = "unit/test_cabinet_codec.py"
CABLE = "unit/test_cooled_cable.py"

MODULE_MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "no switch closes that could connect two outlets, whatever the table says",
        "module_switching.py",
        "    safe = status is not None and status.closed <= {command.switch} and status.driven in (ALL_OPEN, command.switch)\n",
        "    safe = True\n",
        (SWITCHES,),
    ),
    Mutation(
        "a switch closes only between equal voltages",
        "module_switching.py",
        "    apart = abs(look.status.voltage - look.target_status.voltage) <= look.config.match_voltage\n",
        "    apart = True\n",
        (SWITCHES,),
    ),
    Mutation(
        "a switch opens only without current",
        "module_switching.py",
        "look.status.duty == Duty.STOP and abs(look.status.current) <= look.config.zero_current",
        "True",
        (SWITCHES,),
    ),
    Mutation(
        "a module whose status is stale may be anywhere",
        "module_switching.py",
        "lambda look: look.status is None, _S.UNKNOWN",
        "lambda look: False, _S.UNKNOWN",
        (SWITCHES,),
    ),
    Mutation(
        "two closed switches of a module connect two outlets",
        "module_switching.py",
        "lambda look: len(look.closed) > 1",
        "lambda look: False",
        (SWITCHES,),
    ),
    Mutation(
        "a module leaves a session only where the others keep it alive",
        "module_allocator.py",
        "        return need.settled and left >= min(need.least, need.current) - 1e-6\n",
        "        return True\n",
        (MODULES,),
    ),
    Mutation(
        "a counter of the cabinet that stands is no sign of life",
        "codecs/cabinet.py",
        "        if stands:\n",
        "        if False:\n",
        (CABINET,),
    ),
    Mutation(
        "a cable without working coolant carries less",
        "cooled_cable.py",
        "    if not works:\n",
        "    if False:\n",
        (CABLE,),
    ),
)
