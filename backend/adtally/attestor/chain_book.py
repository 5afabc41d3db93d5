"""What final blocks say of anchors and statements, kept so that each block is read once."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adtally.attestation.documents import (
    checkpoint_json,
    parse_checkpoint,
    parse_statement,
    statement_json,
)
from adtally.attestation.journal import Journal
from adtally.attestation.judgement import Standing
from adtally.chain.connection import Chain
from adtally.chain.contracts import campaign_escrow, event_log
from adtally.chain.contracts.campaign_escrow import CampaignEscrow, decode_statement_submitted
from adtally.chain.contracts.event_log import EventLog, decode_anchored
from adtally.chain.deployment import Deployment
from adtally.errors import AdtallyError, ChainReverted, ChainUnavailable, Reorged, StorageCorrupt
from adtally.types import BlockStamp, ChainLog, Checkpoint, Hash, Statement

logger = logging.getLogger(__name__)

_MARK_EVERY_BLOCKS = 500


@dataclass(frozen=True, slots=True)
class OnChain:
    """A checkpoint or statement in a final block, and the transaction that brought it there."""

    content: Checkpoint | Statement
    transaction: Hash
    block_number: int
    number: int = 0
    """Of an anchor, counted from 1."""


class ChainBook:
    """Anchors and statements of one deployment.

    Args:
        path: the journal.
    """

    def __init__(self, chain: Chain, deployment: Deployment, path: Path) -> None:
        self.chain = chain
        self.event_log = EventLog(chain, deployment.event_log.address)
        self.escrow = CampaignEscrow(chain, deployment.campaign_escrow.address)
        self.anchors: dict[int, OnChain] = {}
        self.statements: dict[tuple[int, int], OnChain] = {}
        self.looked_to = deployment.block_number - 1
        self._looked_hash: Hash | None = None
        self._marked = self.looked_to
        self._journal = Journal(path)
        for number, line in enumerate(self._journal.lines):
            try:
                self._load(json.loads(line))
            except (ValueError, KeyError, TypeError, AdtallyError) as error:
                raise StorageCorrupt(
                    "the journal of the chain is damaged",
                    field=f"{path}, line {number + 1}",
                    found=str(error),
                    action="delete it: the chain is read again from the deployment on",
                ) from None

    async def look(self) -> list[OnChain]:
        """Read what has become final since; returns the anchors and statements in it.

        Raises:
            ChainUnavailable: the node does not answer.
            Reorged: a block that was final is gone.
        """
        final = await self.chain.final()
        if final is None or final.number <= self.looked_to:
            return []
        if self._looked_hash is not None:
            known = await self.chain.block(self.looked_to)
            if known is None or known.hash != self._looked_hash:
                raise Reorged(
                    "a block that was final is not part of the chain any more",
                    expected=f"block {self.looked_to} 0x{self._looked_hash.hex()}",
                    found="no such block" if known is None else f"0x{known.hash.hex()}",
                    action="check the node; the finality policy was too optimistic",
                )
        addresses = [self.event_log.address, self.escrow.address]
        logs = await self.chain.logs(self.looked_to + 1, final.number, addresses)
        found = [each for log in logs if (each := self._read(log)) is not None]
        for each in found:
            if self._keep(each):
                self._journal.append(json.dumps(_to_json(each)).encode())
        self._mark(final, bool(found))
        return found

    async def standing(self, campaign: int) -> Standing:
        """The campaign's latest statement at a final block.

        Raises:
            ChainUnavailable: no final block has the campaign yet.
        """
        final = await self.chain.final()
        if final is None:
            raise ChainUnavailable("no block is final yet", action="wait for the node")
        try:
            latest = (await self.escrow.campaign(campaign, final)).latest
        except ChainReverted as error:
            raise ChainUnavailable(
                f"campaign {campaign} is in no final block yet", found=str(error)
            ) from None
        return Standing(latest.sequence, latest.tree_size, latest.is_final)

    async def signatures_in(self, each: OnChain) -> list[bytes]:
        """The signatures that the transaction hands over itself; none if a contract did."""
        data = await self.chain.input_of(each.transaction)
        is_anchor = isinstance(each.content, Checkpoint)
        function = event_log.ANCHOR if is_anchor else campaign_escrow.SETTLE
        if data is None or not data.startswith(function.selector):
            return []
        packed = bytes(function.decode_arguments(data)[-1][2])
        return [packed[at : at + 65] for at in range(0, len(packed), 65)]

    def close(self) -> None:
        """Give up the file."""
        self._journal.close()

    def _read(self, log: ChainLog) -> OnChain | None:
        if log.address == self.event_log.address and event_log.ANCHORED.matches(log):
            anchored = decode_anchored(log)
            return OnChain(
                anchored.checkpoint, log.transaction_hash, log.block_number, anchored.number
            )
        if log.address == self.escrow.address and campaign_escrow.STATEMENT_SUBMITTED.matches(log):
            statement = decode_statement_submitted(log).statement
            return OnChain(statement, log.transaction_hash, log.block_number)
        return None

    def _keep(self, each: OnChain) -> bool:
        content = each.content
        if isinstance(content, Checkpoint):
            is_new = content.tree_size not in self.anchors
            self.anchors[content.tree_size] = each
        else:
            key = (content.campaign, content.sequence)
            is_new = key not in self.statements
            self.statements[key] = each
        return is_new

    def _mark(self, final: BlockStamp, has_news: bool) -> None:
        self.looked_to, self._looked_hash = final.number, final.hash
        if has_news or final.number - self._marked >= _MARK_EVERY_BLOCKS:
            line = {"looked_to": final.number, "hash": final.hash.hex()}
            self._journal.append(json.dumps(line).encode())
            self._marked = final.number

    def _load(self, raw: Mapping[str, object]) -> None:
        if "looked_to" in raw:
            self.looked_to = self._marked = int(str(raw["looked_to"]))
            self._looked_hash = bytes.fromhex(str(raw["hash"]))
            return
        content: Checkpoint | Statement
        if "checkpoint" in raw:
            content = parse_checkpoint(raw["checkpoint"])
        else:
            content = parse_statement(raw["statement"])
        self._keep(
            OnChain(
                content,
                bytes.fromhex(str(raw["transaction"])),
                int(str(raw["block_number"])),
                int(str(raw["number"])),
            )
        )


def _to_json(each: OnChain) -> dict[str, object]:
    content = each.content
    what: dict[str, object] = (
        {"checkpoint": checkpoint_json(content)}
        if isinstance(content, Checkpoint)
        else {"statement": statement_json(content)}
    )
    return what | {
        "transaction": each.transaction.hex(),
        "block_number": each.block_number,
        "number": each.number,
    }
