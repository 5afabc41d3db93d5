"""``adtally attest``: one attestor at work, from public data and its own view of the chain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from adtally.attestation.attestor import Attestor
from adtally.attestation.follower import follow
from adtally.attestation.requests import Answer
from adtally.attestation.signing_record import SigningRecord
from adtally.chain.connection import Chain
from adtally.chain.contracts.campaign_escrow import CampaignEscrow
from adtally.chain.deployment import Deployment
from adtally.client.log_client import LogClient
from adtally.commands.private_keys import new_key, read_key, write_key
from adtally.errors import ChainReverted, ChainUnavailable, InvalidInput, NotAllowed
from adtally.events.eip712 import escrow_domain
from adtally.events.facts import ContractCode
from adtally.events.signature import address_of
from adtally.types import Address

_RECORD_FILE = "signed.jsonl"
_PARENT_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class AttestOptions:
    """Where an attestor gets its data, and where it keeps what it signed.

    ``parent`` is the pid of the starting process, with which this one is to end.
    """

    service: str
    rpc_url: str
    deployment: Path
    key_file: Path
    data_dir: Path
    interval_seconds: float
    parent: int | None = None


class _ApiDesk:
    """The operator's API as the attestor's desk."""

    def __init__(self, log: LogClient) -> None:
        self._log = log

    async def attestation_requests(self, attestor: Address) -> list[dict[str, Any]]:
        requests = await self._log.attestation_requests(f"0x{attestor.hex()}")
        if not isinstance(requests, list):
            raise InvalidInput(
                "the list of attestation requests is malformed",
                expected="a JSON list",
                found=type(requests).__name__,
            )
        return requests

    async def post_attestation(self, attestor: Address, answer: Answer) -> None:
        document: dict[str, object] = {
            "request": answer.request,
            "attestor": f"0x{attestor.hex()}",
        }
        if answer.signature is not None:
            document["signature"] = f"0x{answer.signature.hex()}"
        else:
            document["refusal"] = {"reason": answer.refusal or "no reason given"}
        await self._log.post_attestation(document)


class _FinalEscrow:
    """Statements as final blocks have them."""

    def __init__(self, chain: Chain, escrow: Address) -> None:
        self._chain = chain
        self._escrow = CampaignEscrow(chain, escrow)

    async def latest_statement(self, campaign: int) -> tuple[int, int]:
        """Raises ChainUnavailable while no final block has the campaign."""
        final = await self._chain.final()
        if final is None:
            raise ChainUnavailable("no block is final yet", action="wait for the node")
        try:
            latest = (await self._escrow.campaign(campaign, final)).latest
        except ChainReverted as error:
            raise ChainUnavailable(
                f"campaign {campaign} is in no final block yet", found=str(error)
            ) from None
        return latest.sequence, latest.tree_size


def create_key(path: Path, console: Console) -> None:
    """Make an attestor's key and tell its address, which the deployment names."""
    key = new_key()
    write_key(path, key)
    console.print(f"0x{address_of(key).hex()}")


async def attest(options: AttestOptions) -> None:
    """Answer requests until cancelled.

    Raises:
        NotAllowed: the key is not of the deployment's attestor set.
        ForeignChain: the node serves another chain.
    """
    deployment = Deployment.load(options.deployment)
    key = read_key(options.key_file)
    address = address_of(key)
    if address not in deployment.attestors:
        raise NotAllowed(
            "this key belongs to none of the deployment's attestors",
            field=str(options.key_file),
            expected=", ".join(f"0x{each.hex()}" for each in deployment.attestors),
            found=f"0x{address.hex()}",
            action="use the key whose address was named at deployment",
        )
    chain = Chain(options.rpc_url, deployment.finality)
    log = LogClient(options.service)
    try:
        await deployment.check(chain)
        attestor = Attestor(
            identity=deployment.log_identity,
            escrow_domain=escrow_domain(deployment.chain_id, deployment.campaign_escrow.address),
            contracts={
                deployment.membership.address: ContractCode.MEMBERSHIP,
                deployment.campaign_escrow.address: ContractCode.CAMPAIGN_ESCROW,
            },
            first_block=deployment.block_number,
            private_key=key,
            record=SigningRecord(options.data_dir / _RECORD_FILE),
            log=log,
            chain=chain,
            escrow=_FinalEscrow(chain, deployment.campaign_escrow.address),
        )
        logging.getLogger(__name__).info("attesting as 0x%s", address.hex())
        work = follow(_ApiDesk(log), attestor, address, interval_seconds=options.interval_seconds)
        await (work if options.parent is None else _until_orphaned(work, options.parent))
    finally:
        await log.close()
        await chain.close()


async def _until_orphaned(work: Coroutine[Any, Any, None], parent: int) -> None:
    """Work until the process ``parent`` that started this one has gone, however it went."""
    task = asyncio.ensure_future(work)
    while not task.done() and os.getppid() == parent:
        await asyncio.wait([task], timeout=_PARENT_POLL_SECONDS)
    if not task.done():
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
