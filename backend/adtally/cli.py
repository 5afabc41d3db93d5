"""The ``adtally`` command: names and options here, the work in ``adtally.commands``.

Commands import their parts when they run, so that ``adtally --help`` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from adtally.errors import AdtallyError, InvariantBroken
from adtally.types import UINT32_MAX, UINT128_MAX

app = typer.Typer(
    help="Settles advertising money from signed events, an append-only log and an escrow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Service = Annotated[str, typer.Option(help="Address of a running service.")]
RpcUrl = Annotated[str, typer.Option(help="JSON-RPC endpoint of the chain.")]
DeploymentFile = Annotated[Path, typer.Option(help="Deployment file (see adtally deploy).")]

Officer = Annotated[
    str | None, typer.Option(help="Address that gets this role; default: the deployer, no delay.")
]

Peers = Annotated[
    list[str], typer.Option("--peer", help="Address of another attestor's store; once for each.")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        help="Holds the keystore's passphrase; else ADTALLY_ATTESTOR_PASSPHRASE or asked."
    ),
]

LOCAL_SERVICE = "http://127.0.0.1:8000"
LOCAL_CHAIN = "http://127.0.0.1:8545"
LOCAL_DEPLOYMENT = Path("var/deployment.json")
LOCAL_RECEIPT_KEY = Path("var/keys/receipt.key")
PLAIN_WIDTH = 110


def result_console() -> Console:
    """For results; in a pipe or file, where rich takes 80 columns, tables get what they need."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, PLAIN_WIDTH))


@app.command()
def up(
    local_chain: Annotated[
        bool,
        typer.Option(
            "--local-chain", help="Also run a local chain with contracts and three attestors."
        ),
    ] = False,
    stop_local_chain: Annotated[
        bool,
        typer.Option(
            "--stop-local-chain", help="Only end the chain that --local-chain left running."
        ),
    ] = False,
) -> None:
    """Run the service; settings come from the environment (ADTALLY_*)."""
    from adtally.commands import up as command
    from adtally.config import load_settings

    if stop_local_chain:
        command.stop_local(load_settings(), result_console())
    elif local_chain:
        command.up_local(load_settings(), result_console())
    else:
        command.up(load_settings())


@app.command()
def demo(
    directory: Annotated[Path, typer.Option(help="Where logs and report go.")] = Path("build/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal totals.")] = 7,
    scale: Annotated[int, typer.Option(min=5, max=1000, help="Traffic in percent.")] = 100,
) -> None:
    """Show the whole job on a fresh local chain, from funding to refund and audit."""
    from adtally.commands import demo as command
    from adtally.commands.running import run

    run(command.demo(directory, seed, scale, result_console()))


@app.command()
def deploy(
    attestor: Annotated[list[str], typer.Option(help="Address of an attestor; once for each.")],
    rpc_url: RpcUrl = LOCAL_CHAIN,
    data_dir: Annotated[
        Path, typer.Option(help="Gets the deployment file and the operator's keys.")
    ] = Path("var"),
    deployer_key_file: Annotated[
        Path | None, typer.Option(help="Pays for it; default: a local chain's first account.")
    ] = None,
    threshold: Annotated[
        int | None, typer.Option(min=1, help="Signatures needed; default: a majority.")
    ] = None,
    confirmations: Annotated[
        int, typer.Option(min=0, help="Blocks until a block is final; 0: at once.")
    ] = 0,
    bond_token: Annotated[
        str | None, typer.Option(help="ERC-20 of the operator's bond; default: no bond contract.")
    ] = None,
    bond_penalty: Annotated[
        int | None,
        typer.Option(min=1, max=UINT128_MAX, help="What a broken promise costs, in base units."),
    ] = None,
    admin: Officer = None,
    registrar: Officer = None,
    pauser: Officer = None,
    treasurer: Officer = None,
    officers_delay: Annotated[
        int,
        typer.Option(
            min=0,
            max=UINT32_MAX,
            help="Seconds ahead that registrar, treasurer and admin must announce their calls.",
        ),
    ] = 86_400,
) -> None:
    """Put the contracts on a chain and write the deployment file."""
    from adtally.chain.finality import INSTANT, Finality, FinalityKind
    from adtally.commands import deploy as command
    from adtally.commands.running import run

    finality = Finality(FinalityKind.CONFIRMATIONS, confirmations) if confirmations else INSTANT
    options = command.DeployOptions(
        rpc_url,
        data_dir,
        deployer_key_file,
        [command.parse_address(text) for text in attestor],
        threshold,
        finality,
        command.parse_bond(bond_token, bond_penalty),
        command.parse_officers(admin, registrar, pauser, treasurer, officers_delay),
    )
    deployed = run(command.deploy_contracts(options))
    command.show_deployment(deployed, data_dir, result_console())


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="The log, plain or gzipped.")],
    log_format: Annotated[
        Literal["obd"], typer.Option("--format", help="obd: Open Bandit Dataset, CSV.")
    ] = "obd",
    data_dir: Annotated[
        Path, typer.Option(help="Keeps chain and service; replaying into it again pays nothing.")
    ] = Path("build/replay"),
) -> None:
    """Push a real log through the whole path: verified, logged, settled, paid to the unit."""
    from adtally.commands import replay as command
    from adtally.commands.running import run

    assert log_format == "obd"
    run(command.replay_obd(file, data_dir, result_console()))


@app.command()
def attest(
    key_file: Annotated[
        Path | None,
        typer.Option(help="Encrypted keystore (V3); for demos a raw key with mode 0600."),
    ] = None,
    service: Service = LOCAL_SERVICE,
    rpc_url: RpcUrl = LOCAL_CHAIN,
    deployment: DeploymentFile = LOCAL_DEPLOYMENT,
    data_dir: Annotated[
        Path, typer.Option(help="Its store: entries, tree, statements, what it signed.")
    ] = Path("var/attestor"),
    interval: Annotated[float, typer.Option(min=0.05, help="Seconds between two looks.")] = 1.0,
    peer: Peers = [],  # noqa: B006
    serve: Annotated[
        str | None, typer.Option(help="HOST:PORT at which it serves what it stored.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    signer: Annotated[
        str | None,
        typer.Option(help="Instead of a key file: rpc:URL or web3signer:URL/<identifier>."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="The attestor's address, with --signer.")
    ] = None,
    note_verifier: Annotated[
        str | None,
        typer.Option(help="The log's checkpoint key; default: what the service names first."),
    ] = None,
    gone_after: Annotated[
        float,
        typer.Option(min=1.0, help="Seconds without the service until peers may finish."),
    ] = 86_400.0,
    create_key: Annotated[
        bool,
        typer.Option("--create-key", help="Make an encrypted keystore, tell its address, stop."),
    ] = False,
    parent: Annotated[int | None, typer.Option(help="Stop when this process has gone.")] = None,
) -> None:
    """Store and recompute the whole log, and sign only what comes out the same."""
    from adtally.commands import attest as command
    from adtally.commands.running import run
    from adtally.commands.up import start_logging

    if create_key:
        command.create_key(
            key_file or data_dir / "attestor.json", passphrase_file, result_console()
        )
        return
    start_logging()
    options = command.AttestOptions(
        service=service,
        rpc_url=rpc_url,
        deployment=deployment,
        key=command.KeyOptions(key_file, passphrase_file, signer, address),
        data_dir=data_dir,
        interval_seconds=interval,
        peers=tuple(peer),
        serve=serve,
        note_verifier=note_verifier,
        gone_after_seconds=gone_after,
        parent=parent,
    )
    run(command.attest(options))


@app.command()
def finish(
    account_key_file: Annotated[
        Path, typer.Option(help="An account with coins for gas: keystore, or raw key (mode 0600).")
    ],
    rpc_url: RpcUrl = LOCAL_CHAIN,
    deployment: DeploymentFile = LOCAL_DEPLOYMENT,
    peer: Peers = [],  # noqa: B006
    account_passphrase_file: Annotated[
        Path | None, typer.Option(help="Passphrase of the account's keystore.")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="An attestor's own store, opened here; its process must not run."),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="The attestor's key, with --data-dir.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Go on until every earned unit is paid.")
    ] = False,
) -> None:
    """With the operator gone: anchor, state, pay everybody, from attestors' stores alone."""
    from adtally.commands import finish as command
    from adtally.commands.attest import KeyOptions
    from adtally.commands.running import run
    from adtally.commands.up import start_logging

    start_logging()
    options = command.FinishOptions(
        rpc_url=rpc_url,
        deployment=deployment,
        peers=tuple(peer),
        account_key_file=account_key_file,
        account_passphrase_file=account_passphrase_file,
        wait=wait,
        data_dir=data_dir,
        key=None if key_file is None else KeyOptions(key_file, passphrase_file),
    )
    if not run(command.finish(options, result_console())):
        sys.exit(1)


@app.command()
def correct(
    index: Annotated[int, typer.Option(min=0, help="Leaf index of the record.")],
    change: Annotated[
        int, typer.Option(min=-1, max=1, help="-1 takes it back, 1 counts it (make-good).")
    ],
    reason: Annotated[
        str, typer.Option(help="late_givt, late_sivt, discrepancy, make_good or other.")
    ],
    detail: Annotated[str, typer.Option(help="Why, for all to read; at most 512 bytes.")] = "",
    service: Service = LOCAL_SERVICE,
    deployment: DeploymentFile = LOCAL_DEPLOYMENT,
    key_file: Annotated[Path, typer.Option(help="The operator's event key.")] = LOCAL_RECEIPT_KEY,
) -> None:
    """Take back an event that counts, or count one that was refused, in the log itself."""
    from adtally.commands import correct as command
    from adtally.commands.running import run

    options = command.CorrectOptions(
        service, deployment, key_file, index, change, command.parse_reason(reason), detail
    )
    run(command.correct(options, result_console()))


@app.command()
def audit(
    log: Annotated[
        str,
        typer.Option(
            "--log", "--service", help="Address of a service or of a log's files, or a folder."
        ),
    ] = LOCAL_SERVICE,
    rpc_url: Annotated[
        str, typer.Option("--rpc-url", "--rpc", help="JSON-RPC endpoint of the chain.")
    ] = LOCAL_CHAIN,
    deployment: Annotated[
        Path | None,
        typer.Option(help="Trusted deployment file; default: the log's, checked on chain."),
    ] = None,
    note_verifier: Annotated[
        str | None, typer.Option(help="Trusted checkpoint key; default: the one the log names.")
    ] = None,
    confirmations: Annotated[
        int | None,
        typer.Option(min=0, help="Blocks until a block is final; default: as deployed."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report here.")] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write the report here as a web page.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keeps downloads and states; default: the user's cache.")
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Forget what earlier audits left.")
    ] = False,
    receipt: Annotated[
        list[Path] | None, typer.Option(help="A receipt to hold against the log; repeatable.")
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(help="Copy of the log, checkpoint or report of others; repeatable."),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="Event or attestor key, to read a log that is not public.")
    ] = None,
    member: Annotated[
        int, typer.Option(min=0, max=UINT32_MAX, help="Whose event key; 0: an attestor's key.")
    ] = 0,
) -> None:
    """Re-derive everything from the public log and the chain.

    Exit code 0: everything agrees. 1: something does not. 2: it could not be done.
    """
    from adtally.commands import audit as command
    from adtally.commands.running import run

    options = command.AuditOptions(
        log, rpc_url, deployment, note_verifier, confirmations, json_file, html_file, cache,
        from_scratch, tuple(receipt or ()), tuple(compare or ()), key_file, member,
    )  # fmt: skip
    try:
        agrees = run(command.audit(options, result_console()))
    except AdtallyError as error:
        Console(stderr=True).print(error_text(error))
        sys.exit(2)
    if not agrees:
        sys.exit(1)


@app.command()
def verify(
    file: Annotated[
        Path, typer.Argument(help="Proof bundle, receipt or proof, as the service answered it.")
    ],
    deployment: DeploymentFile = LOCAL_DEPLOYMENT,
    rpc_url: Annotated[str | None, typer.Option(help="Also ask this chain.")] = None,
    block_hash: Annotated[
        list[str] | None,
        typer.Option(help="A block that you trust, instead of a chain; once for each."),
    ] = None,
    entry: Annotated[
        Path | None, typer.Option(help="The entry's bytes that an inclusion proof is about.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a bundle's findings so.")] = False,
) -> None:
    """Check a proof bundle, receipt or proof; exit code 1: false, 2: not everything was shown."""
    from adtally.commands import verify as command
    from adtally.commands.running import run
    from adtally.commands.verify_bundle import parse_hash

    options = command.VerifyOptions(
        file,
        deployment,
        rpc_url,
        entry,
        tuple(parse_hash(text) for text in block_hash or ()),
        as_json,
    )
    if not run(command.verify(options, result_console())):
        sys.exit(2)


@app.command()
def proof(
    event: Annotated[str, typer.Argument(help="Id of the event, a UUID.")],
    publisher: Annotated[int, typer.Option(min=1, help="The member that the event is for.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Gets the proof bundle.")],
    service: Service = LOCAL_SERVICE,
    rpc_url: Annotated[str | None, typer.Option(help="Also check it against this chain.")] = None,
    deployment: DeploymentFile = LOCAL_DEPLOYMENT,
    kind: Annotated[
        str | None, typer.Option("--type", help="Needed if several types share the id.")
    ] = None,
    occurrence: Annotated[int, typer.Option(min=0, help="0 is its first record.")] = 0,
    statement: Annotated[
        int | None, typer.Option(min=1, help="Sequence; default: the first that covers it.")
    ] = None,
    facts: Annotated[
        bool, typer.Option("--facts", help="Cite what an accepted verdict rests on, too.")
    ] = False,
    headers: Annotated[
        bool, typer.Option("--headers", help="Make one trusted block enough to verify it.")
    ] = False,
) -> None:
    """Get the proof of one event, from record to payment, as a file; check it before it is kept."""
    from adtally.commands import proof as command
    from adtally.commands.running import run

    options = command.ProofOptions(
        event, publisher, output, service, rpc_url, deployment, kind, occurrence, statement,
        facts, headers,
    )  # fmt: skip
    if not run(command.fetch_proof(options, result_console())):
        sys.exit(2)


@app.command()
def reconcile(
    service: Service = LOCAL_SERVICE,
    rpc_url: RpcUrl = LOCAL_CHAIN,
    deployment: DeploymentFile = LOCAL_DEPLOYMENT,
) -> None:
    """Hold the service's books beside the chain, to the unit; exit code 1 on a difference."""
    from adtally.commands import reconcile as command
    from adtally.commands.running import run

    if not run(command.reconcile(service, rpc_url, deployment, result_console())):
        sys.exit(1)


@app.command("restore-log")
def restore_log(
    source: Annotated[str, typer.Option("--from", help="fsspec URL of the archive.")],
    data_dir: Annotated[Path, typer.Option(help="Gets the folder log; must have none.")],
    deployment: Annotated[
        Path | None,
        typer.Option(help="Names the log it must be; default: deployment.json in the data folder."),
    ] = None,
) -> None:
    """Rebuild a log's folder from its archive, every hash recomputed."""
    from adtally.commands import restore_log as command

    command.restore_log(source, data_dir, deployment, result_console())


@app.command("export-log")
def export_log(
    directory: Annotated[Path, typer.Argument(help="Gets the files; what is there stays.")],
    service: Service = LOCAL_SERVICE,
    note_verifier: Annotated[
        str | None, typer.Option(help="Checkpoint key; default: the one the service names.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="Event or attestor key, to read a log that is not public.")
    ] = None,
    member: Annotated[
        int, typer.Option(min=0, max=UINT32_MAX, help="Whose event key; 0: an attestor's key.")
    ] = 0,
) -> None:
    """Copy the whole public log, checked, as files that any web server can serve."""
    from adtally.commands import export_log as command
    from adtally.commands.running import run

    options = command.ExportOptions(service, note_verifier, key_file, member)
    run(command.export_log(directory, options, result_console()))


@app.command()
def simulate(
    service: Service = LOCAL_SERVICE,
    rpc_url: RpcUrl = LOCAL_CHAIN,
    deployment: DeploymentFile = LOCAL_DEPLOYMENT,
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="Length of the flight.")] = 2,
    impressions: Annotated[int, typer.Option(min=1, help="Honest impressions.")] = 2_000,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal traffic.")] = 7,
    out: Annotated[
        Path | None, typer.Option(help="Write the events to this file and send nothing.")
    ] = None,
) -> None:
    """Play a short campaign with honest and dishonest traffic on a local chain."""
    from adtally.commands import simulate as command
    from adtally.commands.running import run

    if out is not None:
        command.simulate_file(out, seed, minutes, impressions, result_console())
        return
    run(
        command.simulate_live(
            service, rpc_url, deployment, seed, minutes, impressions, result_console()
        )
    )


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
    except KeyboardInterrupt:
        sys.exit(130)


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
