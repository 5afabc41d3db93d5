"""The deployment file: where the contracts are, and how to tell that this is their chain."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_utils import keccak, to_checksum_address

from adtally.chain.connection import Chain, ChainIdentity
from adtally.chain.files import write_atomically
from adtally.chain.finality import INSTANT, Finality
from adtally.errors import ForeignChain, InvalidInput, NotFound
from adtally.events.eip712 import escrow_domain
from adtally.events.facts import ContractCode
from adtally.types import Address, Hash, LogIdentity

VERSION = 1


@dataclass(frozen=True, slots=True)
class DeployedContract:
    """``code_hash`` is keccak256 of the runtime code."""

    address: Address
    code_hash: Hash


@dataclass(frozen=True, slots=True)
class DeployedToken:
    """A token that campaigns here may use; ``decimals`` only matter for display.

    ``currency`` is the ISO 4217 code that one whole token stands for in reports, if any.
    """

    address: Address
    decimals: int
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One set of contracts on one chain. ``block_number`` is the first block with any of them."""

    chain_id: int
    genesis_hash: Hash
    block_number: int
    access_manager: DeployedContract
    membership: DeployedContract
    event_log: DeployedContract
    campaign_escrow: DeployedContract
    operator_member: int
    attestor_set: int
    threshold: int
    attestors: tuple[Address, ...]
    receipt_signer: Address
    operator_bond: DeployedContract | None = None
    finality: Finality = INSTANT
    tokens: dict[str, DeployedToken] = field(default_factory=dict)

    @property
    def identity(self) -> ChainIdentity:
        """What tells this chain from another."""
        return ChainIdentity(self.chain_id, self.genesis_hash)

    @property
    def log_identity(self) -> LogIdentity:
        """What every signature of the log is bound to."""
        return LogIdentity(self.chain_id, self.event_log.address)

    @property
    def escrow_domain(self) -> Hash:
        """EIP-712 domain separator of the escrow: what statements and lines are bound to."""
        return escrow_domain(self.chain_id, self.campaign_escrow.address)

    @property
    def fact_contracts(self) -> dict[Address, ContractCode]:
        """The contracts whose logs are facts."""
        return {
            self.membership.address: ContractCode.MEMBERSHIP,
            self.campaign_escrow.address: ContractCode.CAMPAIGN_ESCROW,
        }

    @property
    def log_origin(self) -> str:
        """The origin line of the log's checkpoint notes (C2SP tlog-checkpoint)."""
        return f"adtally/{self.chain_id}/0x{self.event_log.address.hex()}"

    @property
    def contracts(self) -> dict[str, DeployedContract]:
        """The contracts by the names used in the file."""
        contracts = {
            "access_manager": self.access_manager,
            "membership": self.membership,
            "event_log": self.event_log,
            "campaign_escrow": self.campaign_escrow,
        }
        if self.operator_bond is not None:
            contracts["operator_bond"] = self.operator_bond
        return contracts

    async def check(self, chain: Chain) -> None:
        """Refuse a fresh or foreign chain.

        Raises:
            ForeignChain: chain id, genesis hash or a contract's code differ.
            ChainUnavailable: the node does not answer.
        """
        await chain.require_identity(self.identity)
        for name, contract in self.contracts.items():
            code = await chain.code(contract.address)
            if keccak(code) != contract.code_hash:
                raise ForeignChain(
                    "the chain does not hold the deployed contracts",
                    field=f"contracts.{name}",
                    expected=f"code 0x{contract.code_hash.hex()} at {_text(contract.address)}",
                    found=f"code 0x{keccak(code).hex()}" if code else "no code",
                    action="start the chain with its saved state, or make a new data directory "
                    "and run `adtally deploy`; nothing was written to this chain",
                )

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file and is served at /v1/deployment."""
        return {
            "version": VERSION,
            "chain_id": self.chain_id,
            "genesis_hash": _hex(self.genesis_hash),
            "block_number": self.block_number,
            "finality": self.finality.to_json(),
            "contracts": {
                name: {"address": _text(c.address), "code_hash": _hex(c.code_hash)}
                for name, c in self.contracts.items()
            },
            "tokens": {
                symbol: {
                    "address": _text(token.address),
                    "decimals": token.decimals,
                    "currency": token.currency,
                }
                for symbol, token in self.tokens.items()
            },
            "operator_member": self.operator_member,
            "attestor_set": self.attestor_set,
            "threshold": self.threshold,
            "attestors": [_text(attestor) for attestor in self.attestors],
            "receipt_signer": _text(self.receipt_signer),
            "log_origin": self.log_origin,
        }

    @staticmethod
    def from_json(value: Any, folder: Path = Path()) -> Deployment:
        """Parse; a relative finality marker is relative to ``folder``. Raises InvalidInput."""
        try:
            if value["version"] != VERSION:
                raise ValueError(f"version {value['version']!r}")
            contracts = {
                name: DeployedContract(_bytes(c["address"], 20), _bytes(c["code_hash"], 32))
                for name, c in value["contracts"].items()
            }
            deployment = Deployment(
                chain_id=_int(value["chain_id"]),
                genesis_hash=_bytes(value["genesis_hash"], 32),
                block_number=_int(value["block_number"]),
                access_manager=contracts["access_manager"],
                membership=contracts["membership"],
                event_log=contracts["event_log"],
                campaign_escrow=contracts["campaign_escrow"],
                operator_bond=contracts.get("operator_bond"),
                operator_member=_int(value["operator_member"]),
                attestor_set=_int(value["attestor_set"]),
                threshold=_int(value["threshold"]),
                attestors=tuple(_bytes(attestor, 20) for attestor in value["attestors"]),
                receipt_signer=_bytes(value["receipt_signer"], 20),
                finality=Finality.from_json(value["finality"], folder),
                tokens={
                    str(symbol): DeployedToken(
                        _bytes(token["address"], 20),
                        _int(token["decimals"]),
                        token.get("currency"),
                    )
                    for symbol, token in value["tokens"].items()
                },
            )
            if value["log_origin"] != deployment.log_origin:
                raise ValueError(f"log_origin {value['log_origin']!r}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(
                "not a deployment file of version 1",
                field="deployment",
                expected="what `adtally deploy` writes",
                found=f"{type(error).__name__}: {error}",
                action="restore the file; the contracts themselves are not affected",
            ) from None
        return deployment

    def save(self, path: Path) -> None:
        """Write the file, wholly or not at all; a finality marker is named from its folder."""
        document = self.to_json() | {"finality": self.finality.to_json(path.parent)}
        write_atomically(path, (json.dumps(document, indent=2) + "\n").encode())

    @staticmethod
    def load(path: Path) -> Deployment:
        """Read the file.

        Raises:
            NotFound: there is none.
            InvalidInput: it is damaged.
        """
        try:
            value = json.loads(path.read_text())
        except FileNotFoundError:
            raise NotFound(
                "there is no deployment file",
                field="deployment",
                expected=str(path),
                found="no such file",
                action="run `adtally deploy`, or name the file in ADTALLY_DEPLOYMENT",
            ) from None
        except ValueError as error:
            raise InvalidInput(
                "the deployment file is not JSON",
                field="deployment",
                expected="what `adtally deploy` writes",
                found=str(error),
                action="restore the file; the contracts themselves are not affected",
            ) from None
        return Deployment.from_json(value, path.parent)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _text(address: Address) -> str:
    return to_checksum_address(address)


def _bytes(text: Any, size: int) -> bytes:
    value = bytes.fromhex(text.removeprefix("0x"))
    if len(value) != size:
        raise ValueError(f"{text!r} is not {size} bytes")
    return value


def _int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is not a whole number")
    return value
