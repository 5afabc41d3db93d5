"""The ``adtally`` command: names and options here, the work in ``adtally.commands``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from adtally.errors import AdtallyError, InvariantBroken

app = typer.Typer(
    help="Settles advertising money from signed events, an append-only log and an escrow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Service = Annotated[str, typer.Option(help="Address of a running service.")]
RpcUrl = Annotated[str, typer.Option(help="JSON-RPC endpoint of the chain.")]
DeploymentFile = Annotated[Path, typer.Option(help="Deployment file (adtally deploy).")]

LOCAL_SERVICE = "http://127.0.0.1:8000"
LOCAL_CHAIN = "http://127.0.0.1:8545"


def main() -> None:
    """Entry point: typed errors become a readable message and exit code 1."""
    try:
        app()
    except AdtallyError as error:
        Console(stderr=True).print(error_text(error))
        sys.exit(1)
    except InvariantBroken as error:
        Console(stderr=True).print(Text(f"stopped, an invariant is broken: {error}", "bold red"))
        sys.exit(70)


def error_text(error: AdtallyError) -> Text:
    """What went wrong, what was expected and found, and what to do, a line each."""
    text = Text.assemble((f"{error.message}\n", "bold red"))
    for label, value in (
        ("field", error.field),
        ("expected", error.expected),
        ("found", error.found),
        ("what to do", error.action),
    ):
        if value is not None:
            text.append(f"  {label:<11}", "dim").append(f"{value}\n")
    text.rstrip()
    return text


if __name__ == "__main__":
    main()
