"""Guards of an AC output and of signed records, each with a way to break it; as mutation_table.py."""

from evse_tools.mutation_table import TABLE, Mutation

PILOT_SEQUENCE = "unit/test_charge_sequencer_pilot.py"
PILOT_BRIDGE = "unit/test_can_bridge_pilot.py"
PILOT = "unit/test_control_pilot.py"
BOARD = "unit/test_io_board_codec.py"
OCMF = "unit/test_ocmf.py"
EVIDENCE = "unit/test_evidence.py"

AC_MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "no diode, no vehicle",
        "control_pilot.py",
        "        if modulated and abs(low - LOW_LEVEL) > TOLERANCE + _SLACK:\n",
        "        if False:\n",
        (PILOT,),
    ),
    Mutation(
        "a vehicle that is ready has held its level",
        "control_pilot.py",
        "        if less or now - self._since >= _NEEDED.get(seen, 0.0) - 1e-9:\n",
        "        if True:\n",
        (PILOT,),
    ),
    Mutation(
        "no offer above what there is",
        "control_pilot.py",
        "        return min(current, _FIRST_MOST) / _FIRST_SLOPE\n",
        "        return current / _FIRST_SLOPE + 1.0\n",
        (PILOT,),
    ),
    Mutation(
        "an old control pilot is not known",
        "codecs/io_board.py",
        "            pilot_state=self._pilot.state if pilot else PilotState.UNKNOWN,\n",
        "            pilot_state=self._pilot.state,\n",
        (BOARD,),
    ),
    Mutation(
        "the board's word on the pilot is not believed alone",
        "codecs/io_board.py",
        "        return PilotFault.DISAGREES if now - self._disagree > DISAGREE_LIMIT else PilotFault.NONE\n",
        "        return PilotFault.NONE\n",
        (BOARD,),
    ),
    Mutation(
        "without a permit nothing is signalled",
        "can_bridge.py",
        "            io = replace(io, close_contactor=False, pilot_current=NAN)\n",
        "            io = replace(io, close_contactor=False)\n",
        (PILOT_BRIDGE,),
    ),
    Mutation(
        "ventilation is a matter of the room",
        "charge_sequencer_pilot_view.py",
        "(state is PilotState.D and view.config.ventilated)\n",
        "state is PilotState.D\n",
        (PILOT_SEQUENCE,),
    ),
    Mutation(
        "no more than the cable bears",
        "charge_sequencer_pilot_current.py",
        "    return min(least, cable) if cable >= 0.0 else 0.0\n",
        "    return least\n",
        (PILOT_SEQUENCE,),
    ),
    Mutation(
        "no offer before lock, reading, permit, self test and a dead output",
        "charge_sequencer_pilot_table.py",
        "lambda view: not _missing(view))\nnot_ready",
        "lambda view: True)\nnot_ready",
        (PILOT_SEQUENCE,),
    ),
    Mutation(
        "the contactor opens when the vehicle is no longer ready",
        "charge_sequencer_pilot_table.py",
        "    row(S.CHARGING, pauses, S.WAITING_FOR_REQUEST),\n",
        "",
        (PILOT_SEQUENCE,),
    ),
    Mutation(
        "duty cycles stand for five seconds",
        "charge_sequencer_pilot_current.py",
        "    elif wanted > 0.0 and settled and (",
        "    elif wanted > 0.0 and (",
        (PILOT_SEQUENCE,),
    ),
    Mutation(
        "phases change with an open contactor only",
        "charge_sequencer_pilot_current.py",
        "    elif _switches(view, offer) and view.contactor_open:\n",
        "    elif _switches(view, offer):\n",
        (PILOT_SEQUENCE,),
    ),
    Mutation(
        "supply without a vehicle is an emergency",
        "fault_conditions_pilot.py",
        "if view.io.contactor_closed and state not in READY else",
        "if False else",
        (TABLE,),
    ),
    Mutation(
        "a changed record does not hold",
        "ocmf_signature.py",
        "    except InvalidSignature:\n",
        '    except InvalidSignature:\n        return ""\n',
        (OCMF,),
    ),
    Mutation(
        "a page that was taken out is missed",
        "ocmf_check.py",
        "        if kind in last and number != last[kind] + 1:\n",
        "        if False:\n",
        (OCMF, EVIDENCE),
    ),
)
