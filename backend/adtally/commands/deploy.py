"""``adtally deploy``: the contracts onto a chain, keys and deployment file into the data folder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eth_utils import to_checksum_address
from rich import box
from rich.console import Console
from rich.table import Table

from adtally.chain.accounts import local_account, require_local_chain
from adtally.chain.compile import compile_contracts
from adtally.chain.connection import Chain
from adtally.chain.deploy import BondTerms, MemberKeys, Officer, Officers, deploy
from adtally.chain.deployment import Deployment
from adtally.chain.finality import Finality
from adtally.chain.node_tools import find_project_root
from adtally.commands.private_keys import read_key
from adtally.demo.bonding import deposit_bond
from adtally.demo.local_time import give_ether
from adtally.demo.waiting import wait_until_final
from adtally.errors import Conflict, InvalidInput
from adtally.events.signature import address_of
from adtally.intake.keys import OperatorKeys
from adtally.types import Address

_FILE = "deployment.json"
_KEYS = "keys"


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """What to deploy and where to.

    Attributes:
        data_dir: of the service: gets ``keys/`` (unless there) and ``deployment.json``.
        deployer_key_file: None uses the well-known account of a local chain.
        attestors: the set that co-signs, 20-byte addresses.
        threshold: None takes the least majority.
        bond: the operator's; None takes none, on a local chain one in mock dollars.
        officers: holders of the roles; by default the deployer, without delay.
        deposits_bond: whether the operator of a local chain also bonds itself.
    """

    rpc_url: str
    data_dir: Path
    deployer_key_file: Path | None
    attestors: Sequence[Address]
    threshold: int | None
    finality: Finality
    bond: BondTerms | None = None
    officers: Officers = field(default_factory=Officers)
    deposits_bond: bool = False


async def deploy_contracts(options: DeployOptions) -> Deployment:
    """Deploy, wait until it is final, then write the deployment file.

    Raises:
        Conflict: there is a deployment file already; it is never written over.
    """
    path = options.data_dir / _FILE
    if path.exists():
        raise Conflict(
            "there is a deployment already",
            field=str(path),
            expected="no file there",
            found="one",
            action="use it, or name another --data-dir: the log belongs to its contracts",
        )
    chain = Chain(options.rpc_url, options.finality)
    try:
        keys = OperatorKeys.load_or_create(options.data_dir / _KEYS)
        account = address_of(keys.transaction)
        deployer_key = await _deployer_key(chain, options, account)
        artifacts = await asyncio.to_thread(compile_contracts, find_project_root())
        deployment = await deploy(
            chain,
            artifacts,
            deployer_key=deployer_key,
            operator=MemberKeys(account, address_of(keys.receipt)),
            attestors=options.attestors,
            threshold=options.threshold or len(options.attestors) // 2 + 1,
            officers=options.officers,
            bond=options.bond,
        )
        if options.deposits_bond:
            await deposit_bond(chain, deployment, keys.transaction)
        # A file that names contracts which are lost in a crash would be worse than none.
        await wait_until_final(chain)
    finally:
        await chain.close()
    deployment.save(path)
    return deployment


async def _deployer_key(chain: Chain, options: DeployOptions, operator: Address) -> bytes:
    if options.deployer_key_file is not None:
        return read_key(options.deployer_key_file)
    require_local_chain(await chain.chain_id())
    await give_ether(chain, operator, 10**21)
    return local_account(0).private_key


def parse_bond(token: str | None, penalty_base_units: int | None) -> BondTerms | None:
    """The bond's terms, None without any; raises InvalidInput if one half is missing."""
    if token is None and penalty_base_units is None:
        return None
    if token is None or penalty_base_units is None:
        raise InvalidInput(
            "a bond has a token and a penalty",
            field="bond",
            expected="both --bond-token and --bond-penalty, or none",
            found="one of them",
        )
    return BondTerms(parse_address(token, "bond_token"), penalty_base_units)


def parse_officers(
    admin: str | None,
    registrar: str | None,
    pauser: str | None,
    treasurer: str | None,
    delay_seconds: int,
) -> Officers:
    """Holders of the roles; raises InvalidInput.

    All but the pauser must announce what they do: a pause that comes a day late stops nothing,
    and can't hold up money already earned.
    """

    def officer(text: str | None, field: str, delay: int) -> Officer | None:
        return None if text is None else Officer(parse_address(text, field), delay)

    return Officers(
        officer(admin, "admin", delay_seconds),
        officer(registrar, "registrar", delay_seconds),
        officer(pauser, "pauser", 0),
        officer(treasurer, "treasurer", delay_seconds),
    )


def parse_address(text: str, field: str = "attestor") -> Address:
    """20 bytes from hex; raises InvalidInput."""
    try:
        address = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        address = b""
    if len(address) != 20:
        raise InvalidInput("not an address", field=field, expected="20 bytes in hex", found=text)
    return address


def show_deployment(deployment: Deployment, data_dir: Path, console: Console) -> None:
    """Where everything is, and which account the service is going to send from."""
    operator = address_of(OperatorKeys.load(data_dir / _KEYS).transaction)
    table = Table("what", "where", box=box.SIMPLE_HEAD)
    for name, contract in deployment.contracts.items():
        table.add_row(name, to_checksum_address(contract.address))
    for symbol, token in deployment.tokens.items():
        table.add_row(f"{symbol} ({token.decimals} decimals)", to_checksum_address(token.address))
    for attestor in deployment.attestors:
        table.add_row("attestor", to_checksum_address(attestor))
    table.add_row("operator's account", to_checksum_address(operator))
    console.print(table)
    console.print(
        f"chain {deployment.chain_id}, block {deployment.block_number}, "
        f"{deployment.threshold} of {len(deployment.attestors)} attestors must sign\n"
        "the operator's account sends anchors, settlements and payments: where gas costs, "
        "fund it\n"
        f"written to {data_dir / _FILE}",
        highlight=False,
    )
