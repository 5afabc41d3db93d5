"""What the jobs work with."""

from __future__ import annotations

from dataclasses import dataclass

from adtally.chain.connection import Chain
from adtally.chain.contracts.campaign_escrow import CampaignEscrow
from adtally.chain.contracts.event_log import EventLog
from adtally.chain.contracts.membership import Membership
from adtally.chain.outbox import Outbox
from adtally.chain.watcher import Watcher
from adtally.intake.clock import Clock
from adtally.intake.sequencer import Sequencer
from adtally.jobs.requests import RequestBook
from adtally.storage.database import Database
from adtally.types import Address


@dataclass(frozen=True, slots=True)
class JobContext:
    """The service's parts that jobs combine; ``first_block`` is the deployment's block."""

    database: Database
    sequencer: Sequencer
    clock: Clock
    chain: Chain
    watcher: Watcher
    outbox: Outbox
    membership: Membership
    event_log: EventLog
    escrow: CampaignEscrow
    requests: RequestBook
    first_block: int
    tokens: frozenset[Address] = frozenset()
    """Those that the deployment names, known to keep books that can be relied on."""

    @property
    def log_attestor_set(self) -> int:
        """The set that attests this log's checkpoints."""
        return self.requests.log_attestor_set

    def trusts_token(self, token: Address) -> bool:
        """Whether a token that breaks its word stops the service: one that the deployment names;
        any, where it names none.
        """
        return not self.tokens or token in self.tokens
