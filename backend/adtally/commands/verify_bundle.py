"""``adtally verify`` on a proof bundle: against a chain, trusted block hashes, or neither."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from adtally.chain.connection import Chain
from adtally.chain.deployment import Deployment
from adtally.chain.finality import INSTANT
from adtally.errors import InvalidInput, VerificationFailed
from adtally.proofs.bundle import Bundle
from adtally.proofs.findings import Findings, Standing, Trust
from adtally.proofs.verify import blocks_of, verify_bundle
from adtally.types import Hash

_MARKS = {
    Standing.SHOWN: ("ok", "green"),
    Standing.RESTS_ON: ("by", "cyan"),
    Standing.NOT_SHOWN: ("? ", "yellow"),
}


@dataclass(frozen=True, slots=True)
class Against:
    """What a bundle is checked against; a deployment file that is not there is not used."""

    deployment: Path
    rpc_url: str | None = None
    block_hashes: tuple[Hash, ...] = ()


async def check_bundle(
    data: bytes, against: Against, console: Console, *, as_json: bool = False
) -> bool:
    """Print what a bundle shows.

    Returns:
        Whether nothing was left open.

    Raises:
        VerificationFailed, InvalidInput: something in it is not so.
        ForeignChain, ChainUnavailable: the chain is another one, or does not answer.
    """
    bundle = Bundle.from_bytes(data)
    found = await verified(bundle, against)
    if as_json:
        console.print_json(json.dumps(_document(found, len(data))))
    else:
        for line in found.lines:
            mark, style = _MARKS[line.standing]
            console.print(Text.assemble((mark, style), f"  {line.topic:<11} {line.text}"))
    return found.is_complete


async def verified(bundle: Bundle, against: Against) -> Findings:
    """What a bundle shows; raises as ``check_bundle``."""
    deployment = Deployment.load(against.deployment) if against.deployment.exists() else None
    if against.rpc_url is None:
        blocks = against.block_hashes or None
        trust = _trust(deployment, blocks, "you, by --block-hash")
        return verify_bundle(bundle, trust)
    finality = INSTANT if deployment is None else deployment.finality
    chain = Chain(against.rpc_url, finality)
    try:
        return await _against_chain(bundle, deployment, chain, against.block_hashes)
    finally:
        await chain.close()


async def _against_chain(
    bundle: Bundle, deployment: Deployment | None, chain: Chain, also: tuple[Hash, ...]
) -> Findings:
    if deployment is not None:
        await deployment.check(chain)
    elif await chain.chain_id() != bundle.scope.chain_id:
        raise VerificationFailed(
            "the bundle is about another chain",
            field="chain_id",
            expected=str(await chain.chain_id()),
            found=str(bundle.scope.chain_id),
        )
    blocks = blocks_of(bundle)
    known = await chain.blocks([header.number for header in blocks])
    canonical = [stamp.hash for stamp in known.values() if stamp is not None]
    trust = _trust(deployment, (*canonical, *also), f"the chain at {chain.rpc.url}")
    found = verify_bundle(bundle, trust)
    final = await chain.final()
    newest = blocks[-1].number
    if final is None or final.number < newest:
        at = "none" if final is None else str(final.number)
        found.not_shown("finality", f"that block {newest} can't be replaced: final is {at}")
    return found


def _trust(deployment: Deployment | None, blocks: tuple[Hash, ...] | None, source: str) -> Trust:
    if deployment is None:
        return Trust(blocks=blocks, source=source)
    return Trust(
        deployment.chain_id,
        deployment.event_log.address,
        deployment.campaign_escrow.address,
        deployment.attestors,
        blocks,
        source,
    )


def _document(found: Findings, size: int) -> dict[str, object]:
    return {
        "bytes": size,
        "complete": found.is_complete,
        "findings": [
            {"topic": line.topic, "standing": line.standing.value, "text": line.text}
            for line in found.lines
        ],
    }


def parse_hash(text: str) -> Hash:
    """A block hash in hex; raises InvalidInput."""
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise InvalidInput(
            "not a block hash", field="block_hash", expected="32 bytes in hex", found=text[:80]
        )
    return raw
