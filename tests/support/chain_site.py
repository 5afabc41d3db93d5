"""A real local chain with the contracts on it, and a log whose anchors three attestors sign."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from adtally.chain.abi import Call
from adtally.chain.accounts import LocalAccount, local_account
from adtally.chain.compile import Artifact
from adtally.chain.connection import Chain
from adtally.chain.contracts.campaign_escrow import CampaignEscrow
from adtally.chain.contracts.event_log import NO_ANCHOR, EventLog
from adtally.chain.contracts.membership import Membership
from adtally.chain.contracts.quorum import Quorum, make_quorum
from adtally.chain.contracts.token import Token
from adtally.chain.deploy import MemberKeys, Officers, deploy
from adtally.chain.deployment import Deployment
from adtally.chain.finality import INSTANT, Finality
from adtally.chain.wallet import Wallet
from adtally.events.eip712 import checkpoint_digest, escrow_domain, log_domain, statement_digest
from adtally.events.signature import sign
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.types import Checkpoint, Hash, Statement

PROJECT_ROOT = Path(__file__).resolve().parents[2]

DEPLOYER = local_account(0)
OPERATOR = local_account(1)
RECEIPTS = local_account(2)
ATTESTORS = tuple(local_account(index) for index in (3, 4, 5))
STRANGER = local_account(6)
THRESHOLD = 2


@dataclass
class ChainSite:
    """Contracts on ``chain``, and a log of made-up entries to anchor there."""

    chain: Chain
    deployment: Deployment
    tree: MerkleTree = field(default_factory=MerkleTree)

    @property
    def membership(self) -> Membership:
        return Membership(self.chain, self.deployment.membership.address)

    @property
    def event_log(self) -> EventLog:
        return EventLog(self.chain, self.deployment.event_log.address)

    @property
    def escrow(self) -> CampaignEscrow:
        return CampaignEscrow(self.chain, self.deployment.campaign_escrow.address)

    @property
    def dollars(self) -> Token:
        return Token(self.chain, self.deployment.tokens["USDX"].address)

    def wallet(self, account: LocalAccount) -> Wallet:
        return Wallet(self.chain, account.private_key)

    def checkpoint(self, size: int) -> Checkpoint:
        """The log's checkpoint at a size; it grows as far as needed."""
        while self.tree.size < size:
            self.tree.append([leaf_hash(b"entry %d" % self.tree.size)])
        return Checkpoint(size, self.tree.root(size)) if size else NO_ANCHOR

    def quorum(self, digest: Hash) -> Quorum:
        signatures = {a.address: sign(digest, a.private_key) for a in ATTESTORS[:THRESHOLD]}
        return make_quorum(THRESHOLD, self.deployment.attestors, signatures)

    def anchor_call(self, previous: int, size: int) -> Call:
        """Anchor ``size`` on top of ``previous``, signed."""
        before, after = self.checkpoint(previous), self.checkpoint(size)
        after = self.checkpoint(size)
        proof = self.tree.consistency_proof(previous, size) if previous else []
        digest = checkpoint_digest(log_domain(self.deployment.log_identity), after)
        return self.event_log.anchor_call(before, after, proof, self.quorum(digest))

    def settle_call(self, statement: Statement) -> Call:
        """Submit the statement, signed."""
        domain = escrow_domain(self.deployment.chain_id, self.escrow.address)
        return self.escrow.settle_call(statement, self.quorum(statement_digest(domain, statement)))


async def make_site(
    url: str,
    artifacts: dict[str, Artifact],
    *,
    finality: Finality = INSTANT,
    officers: Officers | None = None,
) -> ChainSite:
    """Deploy on the node at ``url``. The caller closes ``chain``."""
    chain = Chain(url, finality)
    deployment = await deploy(
        chain,
        artifacts,
        deployer_key=DEPLOYER.private_key,
        operator=MemberKeys(OPERATOR.address, RECEIPTS.address),
        attestors=[attestor.address for attestor in ATTESTORS],
        threshold=THRESHOLD,
        officers=officers,
    )
    return ChainSite(chain, deployment)
