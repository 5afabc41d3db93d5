"""The deployment an audit is about: which chain, which contracts, whose log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adtally.audit.chain_events import Contract
from adtally.audit.documents import address_in, hash_in, integer_in, object_in, text_in
from adtally.errors import InvalidInput
from adtally.events.eip712 import escrow_domain
from adtally.log.checkpoint import NoteVerifier
from adtally.types import Address, Hash, LogIdentity


@dataclass(frozen=True, slots=True)
class AuditDeployment:
    """What the auditor takes as given; get it from a source other than the log's operator.

    Attributes:
        genesis_hash: hash of the chain's block 0.
        block_number: block of the deployment; nothing of ours is older.
        contracts: where each contract stands.
        log_origin: first line of the log's checkpoints.
        note_verifier: the key that signs them.
        operator_member: whose event key signs receipts; None where the document does not say.
    """

    chain_id: int
    genesis_hash: Hash
    block_number: int
    contracts: Mapping[Contract, Address]
    log_origin: str
    note_verifier: NoteVerifier
    operator_member: int | None = None

    @property
    def identity(self) -> LogIdentity:
        return LogIdentity(self.chain_id, self.contracts[Contract.EVENT_LOG])

    @property
    def name(self) -> str:
        """What tells this log, and the escrow that it settles, from every other one."""
        chain = f"chain {self.chain_id} 0x{self.genesis_hash.hex()} from block {self.block_number}"
        contracts = ", ".join(f"{each.value} 0x{self.contracts[each].hex()}" for each in Contract)
        return f"{self.log_origin}, {chain}, {contracts}"

    @property
    def escrow(self) -> Address:
        return self.contracts[Contract.CAMPAIGN_ESCROW]

    @property
    def escrow_domain(self) -> Hash:
        return escrow_domain(self.chain_id, self.escrow)

    @staticmethod
    def from_json(document: object) -> AuditDeployment:
        """Read the deployment document of ``GET /v1/deployment``.

        Raises:
            InvalidInput: a part is missing or malformed.
        """
        what = "deployment"
        contracts = object_in(document, "contracts", what)
        found = {
            each: address_in(object_in(contracts, each.value, what), "address", what)
            for each in Contract
        }
        if len(set(found.values())) != len(found):
            raise InvalidInput(
                "two contracts of the deployment have one address",
                field="contracts",
                expected="different addresses",
                found=", ".join(f"{each.value} 0x{at.hex()}" for each, at in found.items()),
            )
        return AuditDeployment(
            chain_id=integer_in(document, "chain_id", what),
            genesis_hash=hash_in(document, "genesis_hash", what),
            block_number=integer_in(document, "block_number", what),
            contracts=found,
            log_origin=text_in(document, "log_origin", what),
            note_verifier=NoteVerifier.parse(text_in(document, "note_verifier", what)),
            operator_member=integer_in(document, "operator_member", what)
            if isinstance(document, Mapping) and "operator_member" in document
            else None,
        )
