"""The walk over the models of a SunSpec device: where its map begins and where each model does. Pure: requests go out, words come in.

A device has the marker "SunS" at one of a few addresses; behind it the models follow one another, each with its number and its length, up to number 0xFFFF
(SunSpec Device Information Model Specification 1.1, section 6).
"""

from collections.abc import Generator, Sequence

from evse_core.meter_map import Request

# Where the marker may stand, in the order in which it is looked for.
BASES = (40000, 0, 50000)
# "SunS" as two words.
MARKER = (0x5375, 0x6E53)
END = 0xFFFF
# More models than any device has (own): a chain that does not end is no SunSpec.
MOST_MODELS = 64
# Function code of all SunSpec registers.
HOLDING = 3

# Asks for registers; gets their words, or None where the device refuses them.
Walk = Generator[Request, Sequence[int] | None, dict[int, int]]


def walk(bases: Sequence[int] = BASES) -> Walk:
    """Return, as a generator of requests, where each model begins (the address of its number); ValueError where there is no marker or no end.

    Of a model that comes more than once the first counts.
    """
    base = yield from _marked(bases)
    begins: dict[int, int] = {}
    address = base + len(MARKER)
    for _ in range(MOST_MODELS):
        words = yield Request(HOLDING, address, 2, True)
        if words is None:
            # Some devices end without the end model: what they told counts.
            return begins
        number, length = words
        if number == END or address + 2 + length > END:
            return begins
        begins.setdefault(number, address)
        address += 2 + length
    raise ValueError(f"the models of the device do not end after {MOST_MODELS}")


def _marked(bases: Sequence[int]) -> Generator[Request, Sequence[int] | None, int]:
    for base in bases:
        words = yield Request(HOLDING, base, len(MARKER), True)
        if words is not None and tuple(words) == MARKER:
            return base
    raise ValueError(f"there is no SunSpec marker at {', '.join(map(str, bases))}")
