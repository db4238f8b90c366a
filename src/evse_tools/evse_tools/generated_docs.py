"""`station docs`: the pages of docs/ that are drawn from tables in the code."""

import sys
from collections.abc import Callable
from pathlib import Path


def pages(root: Path) -> dict[str, Callable[[], str]]:
    """Return the makers of all generated pages by file name; root is the top of the source tree."""
    from evse_core.charge_sequencer_states import states_markdown  # noqa: PLC0415 each page has its own imports
    from evse_core.fault_table import faults_markdown  # noqa: PLC0415
    from evse_tools.configuration_doc import configuration_markdown  # noqa: PLC0415
    from evse_tools.ocpp16_doc import ocpp16_markdown  # noqa: PLC0415
    from evse_tools.topics_doc import topics_markdown  # noqa: PLC0415

    return {
        "configuration.md": configuration_markdown,
        "faults.md": faults_markdown,
        "ocpp16.md": ocpp16_markdown,
        "states.md": states_markdown,
        "topics.md": lambda: topics_markdown(root / "msg"),
    }


def source_root() -> Path:
    """Return the top of the source tree; LookupError where this package was installed without one."""
    for folder in Path(__file__).resolve().parents:
        if (folder / "msg").is_dir() and (folder / "docs").is_dir():
            return folder
    raise LookupError("no source tree with msg/ and docs/ above this package; run ./station docs in a clone")


def run(check: bool) -> int:
    """Write all pages, or with check tell which are out of date (exit code 1)."""
    try:
        root = source_root()
    except LookupError as error:
        print(f"station docs: {error}", file=sys.stderr)
        return 2
    stale = 0
    for name, make in pages(root).items():
        path, text = root / "docs" / name, make()
        changed = not path.exists() or path.read_text(encoding="utf-8") != text
        stale += changed
        if changed and not check:
            path.write_text(text, encoding="utf-8")
        print(f"docs/{name}: {('out of date' if check else 'written') if changed else 'up to date'}")
    return 1 if check and stale else 0
