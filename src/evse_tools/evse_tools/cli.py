"""The command line behind ./station. Each command imports what it needs itself, so that none waits for the libraries of another."""

import sys


def main() -> int:
    """Run a command; returns the exit code: 0 done, 1 the thing itself failed, 2 wrong input."""
    if sys.argv[1:2] == ["sim"]:
        # A driver's action should not wait for typer.
        from evse_tools import sim_command  # noqa: PLC0415

        return sim_command.main(sys.argv[2:])
    if sys.argv[1:2] == ["csms"]:
        from evse_tools import csms_command  # noqa: PLC0415

        return csms_command.main(sys.argv[2:])
    from evse_tools.commands import app  # noqa: PLC0415

    result = app(prog_name="station", standalone_mode=True)
    return int(result or 0)


if __name__ == "__main__":
    sys.exit(main())
