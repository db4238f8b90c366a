"""Random station descriptions: each loads as a valid Description that can be started, or is refused with errors that name what is wrong; nothing else happens.

A case is the bytes of a file, as latin-1 text so that it goes into JSON. Half of the cases change the text of a description, half its data.
"""

import copy
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from evse_tools.demo_station import default_description
from evse_tools.description import Description, DescriptionError, load
from evse_tools.fuzz_case import Case, time_limit
from evse_tools.node_specs import node_specs
from evse_tools.parameter_file import write_parameters

# Longest time to read a description: a file of 100 kB takes about 1 s. [s]
LONGEST = 10.0
# Longest list of problems that a person reads to its end. [characters]
LONGEST_TEXT = 200_000
# Pieces of text that mean something to YAML, to Python or to a terminal.
TOKENS = (
    "\t", "\r", "\0", "\x1b[2J", "\ufeff", "\u2028", "é", "日本", "&a ", "*a", "<<: *a", "<<: 5", "!!python/object:os.system {}", "!!binary x", "!!int x",
    "!!float x", "!!bool x", "!!timestamp x", "!!set {a, b}", "!!null x", "---\n", "...\n", "? ", "? [a, b]\n: c\n", "{", "}", "[", "]", "'", '"', "|\n", ">\n",
    "#", "%YAML 9.9\n", "0x_", "0b", "1:60", "2026-13-45", "2026-02-30", "2026-01-01", ".nan", ".inf", "-.inf", "1e999", "9" * 5000, "0x" + "f" * 5000,
    '"\\ud800"', '"\\0"', "~", "null", "yes", "=", "[" * 3000, "{a: " * 3000, "- " * 3000, "a: " * 50, "@", "`", "&" * 3, "1_000", "0o17", "-0", "\\", ": :",
)  # fmt: skip
# Values that a key may be given.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 0.0, -0.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf"), "", " ", "a",
    "0", "125", "\0", "\n", "\x1b[31m", "é", "x" * 100_000, "../../etc", "/", "~nobody_at_all/x", "$HOME", "ff11::1", "ff02::1", "ws://", "ws://a:99999", "http://[",
    [], [[]], {}, {"a": {"b": {}}}, [None], [1, "a"], {1: 2}, {"": ""}, "2026-01-01", "Europe/Berlin", "../Berlin", "{}", "--ros-args", "-r",
)  # fmt: skip
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@cache
def _sources() -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8") for path in sorted(default_description().parent.glob("*.yaml")) if path.is_file())


def make(random: Random) -> Case:
    """Return a random description."""
    text = random.choice(_sources())
    if random.random() < 0.5:
        data = yaml.safe_load(text)
        for _ in range(random.choice((1, 1, 2, 4))):
            _change(random, data)
        raw = yaml.dump(data, allow_unicode=True).encode()
    else:
        raw = text.encode()
        for _ in range(random.choice((1, 1, 2, 5, 30))):
            raw = _spoil(random, raw)
    return {"what": "descriptions", "file": raw.decode("latin-1")}


def _spoil(random: Random, raw: bytes) -> bytes:
    """Return the text with one thing put in, taken out, doubled or overwritten."""
    at, length = random.randrange(len(raw) + 1), random.choice((1, 1, 4, 20, 200))
    match random.randrange(6):
        case 0:
            return raw[:at] + random.choice(TOKENS).encode(errors="surrogatepass") + raw[at:]
        case 1:
            return raw[:at] + raw[at + length :]
        case 2:
            return raw[:at] + raw[at : at + length] * 2 + raw[at + length :]
        case 3:
            return raw[:at] + random.randbytes(random.choice((1, 1, 3))) + raw[at + 1 :]
        case 4:
            return _replace_value(random, raw)
        case _:
            lines = raw.splitlines(keepends=True)
            random.shuffle(lines)
            return BOMB.encode() if random.random() < 0.1 else b"".join(lines) if random.random() < 0.2 else raw


def _replace_value(random: Random, raw: bytes) -> bytes:
    """Return the text with what follows a colon replaced."""
    places = [index for index, byte in enumerate(raw) if byte == ord(":")]
    if not places:
        return raw
    at = random.choice(places) + 1
    end = raw.find(b"\n", at)
    return raw[:at] + b" " + random.choice(TOKENS).encode(errors="surrogatepass") + raw[end if end >= 0 else len(raw) :]


def _change(random: Random, data: Any) -> None:
    """Change one place in a tree of mappings and lists."""
    places = list(_places(data))
    holder, key = random.choice(places)
    match random.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[random.choice(("", "rating", "0", "url", "__class__", "a.b", "max_current", 5, None, True))] = random.choice(VALUES)
        case 2:
            source, name = random.choice(places)
            if name in (source if isinstance(source, dict) else range(len(source))):
                holder[key] = copy.deepcopy(source[name])
        case 3 if isinstance(holder, list):
            holder.extend(copy.deepcopy(holder) * random.choice((1, 1, 20)))
        case _:
            holder[key] = random.choice(VALUES)


def _places(data: Any) -> Any:
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in list(pairs):
        yield data, key
        yield from _places(value)
    if not data:
        yield {"": None}, ""


def play(case: Case) -> str:
    """Load the file; return "" or what should not have happened."""
    with tempfile.TemporaryDirectory() as folder, time_limit(LONGEST):
        path = Path(folder) / "station.yaml"
        path.write_bytes(case["file"].encode("latin-1"))
        try:
            description = load(path)
        except DescriptionError as error:
            return _unclear(error, str(path))
        return _unstartable(description, Path(folder))


def _unclear(error: DescriptionError, file: str) -> str:
    """Return what is wrong with an error: it must name the file, say something, and be printable."""
    text = str(error)
    text.encode()
    if not error.problems or not all(problem.file == file and problem.text.strip() for problem in error.problems):
        return f"an error that does not name file and problem: {text[:300]!r}"
    if len(text) > LONGEST_TEXT:
        return f"an error of {len(text)} characters"
    ugly = sorted({char for char in text if not char.isprintable() and char != "\n"})
    return f"an error with {ugly} in it: {text[:300]!r}" if ugly else ""


def _unstartable(description: Description, folder: Path) -> str:
    """Return why a description that is valid could not be started; everything up to the first process is done here."""
    parameters = write_parameters(node_specs(description), folder / "parameters.yaml")
    words = [word for spec in node_specs(description) for word in (*spec.arguments, spec.full_name)]
    words += [str(description.data_dir), *_texts(yaml.safe_load(parameters.read_text(encoding="utf-8")))]
    bad = [word for word in words if "\0" in word or word != word.encode(errors="replace").decode()]
    return f"{bad[0]!r} cannot be given to a process or a file system" if bad else ""


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []
