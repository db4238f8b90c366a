"""The arguments of `station records`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="Signed records of charging sessions (OCMF): list, show, export, verify; receipts as text and PDF."
)

Where = Annotated[
    Path,
    typer.Argument(metavar="PATH", help="data_dir of a station, a ledger energy_meter_N.sqlite, or a file with one OCMF record per line"),
]
Evse = Annotated[int, typer.Option(min=0, max=99, help="only this EVSE (default: all)")]
Json = Annotated[str, typer.Option(metavar="FILE", help="write the result as JSON; - for stdout")]


@app.command("list")
def listing(path: Where, evse: Evse = 0, json: Json = "") -> None:
    """Show the records as a table."""
    from evse_tools import records_command  # noqa: PLC0415

    raise typer.Exit(records_command.listing(path, evse, json))


@app.command()
def show(path: Where, which: Annotated[str, typer.Argument(help="pagination, such as T1, or session")], evse: Evse = 0) -> None:
    """Show what a record says, field by field."""
    from evse_tools import records_command  # noqa: PLC0415

    raise typer.Exit(records_command.show(path, which, evse))


@app.command()
def export(
    path: Where,
    output: Annotated[Path, typer.Argument(metavar="FILE", help="where the records go")],
    evse: Evse = 0,
    xml: Annotated[bool, typer.Option("--xml", help="ended sessions as XML for transparency software, with the public key")] = False,
) -> None:
    """Write the records as they were signed, one per line."""
    from evse_tools import records_command  # noqa: PLC0415

    raise typer.Exit(records_command.export(path, output, evse, xml))


@app.command()
def receipt(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="data_dir of a station, or a receipt's JSON file")],
    session: Annotated[str, typer.Argument(help="session (default: the newest one)")] = "",
    pdf: Annotated[Path | None, typer.Option(metavar="FILE", help="write it as PDF, 80 mm wide")] = None,
) -> None:
    """Show the receipt of a session, or write it as PDF."""
    from evse_tools import receipt_command  # noqa: PLC0415

    raise typer.Exit(receipt_command.receipt(path, session, pdf))


@app.command()
def verify(
    path: Where,
    key: Annotated[
        str, typer.Option(help="public key: PEM, DER as hexadecimal digits or base64, or a file with it (default: the ledger's)")
    ] = "",
    serial: Annotated[str, typer.Option(help="serial number that the meter must have")] = "",
    evse: Evse = 0,
    json: Json = "",
) -> None:
    """Check signatures, serial numbers, pagination, order and chain; say in words what is wrong."""
    from evse_tools import records_command  # noqa: PLC0415

    raise typer.Exit(records_command.verify(path, key, serial, evse, json))
