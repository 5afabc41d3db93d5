"""The operator's side of corrections: signs one and sends it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from adtally.client.fields import Fields
from adtally.client.service_facts import ServiceFacts
from adtally.client.transport import Transport
from adtally.events.correction import CorrectionOrder, CorrectionReason
from adtally.events.signature import address_of, sign


@dataclass(frozen=True, slots=True)
class CorrectionAnswer:
    """Leaf index of the correction, and the log's size once it was durable."""

    index: int
    tree_size: int


async def send_correction(
    transport: Transport,
    facts: ServiceFacts,
    key: bytes,
    *,
    index: int,
    change: int,
    reason: CorrectionReason,
    detail: str,
) -> CorrectionAnswer:
    """Sign with the operator's event key and send.

    Raises:
        Conflict: it stands already, or the rules of the log do not allow it.
        NotAllowed: ``key`` is not the operator's.
    """
    unsigned = CorrectionOrder(index, change, reason, detail, address_of(key), bytes(65))
    order = replace(unsigned, signature=sign(unsigned.digest(facts.domain), key))
    document = {
        "index": order.index,
        "change": order.change,
        "reason": order.reason.label,
        "detail": order.detail,
        "signer": f"0x{order.signer.hex()}",
        "signature": f"0x{order.signature.hex()}",
    }
    answer = Fields(await transport.post_json("/corrections", document), "correction")
    return CorrectionAnswer(answer.integer("index"), answer.integer("tree_size"))
