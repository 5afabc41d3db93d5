"""What a client must know of a deployment to sign for it and to check its answers."""

from __future__ import annotations

from dataclasses import dataclass

from adtally.client.fields import Fields
from adtally.events.eip712 import log_domain
from adtally.types import Address, Hash, LogIdentity


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """The part of a deployment file that signatures depend on.

    Taken from the service it is only as good as the service; whoever wants more reads it from a
    deployment file of its own (``adtally verify --deployment``).
    """

    identity: LogIdentity
    receipt_signer: Address
    log_origin: str

    @property
    def domain(self) -> Hash:
        """The EIP-712 domain of batches, receipts, declarations and checkpoints."""
        return log_domain(self.identity)

    @staticmethod
    def from_json(document: object) -> ServiceFacts:
        """Read a deployment document; raises InvalidInput where a part is missing."""
        deployment = Fields(document, "deployment")
        event_log = deployment.inner("contracts").inner("event_log").octets("address", 20)
        return ServiceFacts(
            identity=LogIdentity(deployment.integer("chain_id"), event_log),
            receipt_signer=deployment.octets("receipt_signer", 20),
            log_origin=deployment.text("log_origin"),
        )
