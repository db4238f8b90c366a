"""How much an EVSE can be rated for: bounds that all its parts share, so that no part refuses what the others take."""

# MCS ends at 3000 A and 1250 V (CharIN, public figures of the Megawatt Charging System). Frames of the generic EVSE interface, and of the extension for
# single modules, carry up to 3276.7 A either way (../shared/reference/can.md 1.3; config/can/module_bank.dbc). [A], [W]
MOST_CURRENT, MOST_POWER = 3000.0, 3.75e6
