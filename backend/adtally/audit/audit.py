"""The audit: everything re-derived from the public log and the chain, trusting neither operator
nor attestors.

Steps:
1. download the log, rebuild its tree, compare with the signed checkpoint and every anchor;
2. replay it: every signature, verdict and amount is computed again;
3. compare the facts in the log with the chain;
4. recompute every statement on chain at its tree size, and the lines published with it;
5. check every deposit, claim, cut, refund and objection, and the token balances;
6. hold what others have in hand against it: receipts, checkpoints that they were shown;
7. count what only the chain can vouch for: that a quorum attested each anchor and statement.

An audit that finds the log right leaves its state; the next one goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adtally.audit.chain_events import (
    Anchored,
    Claimed,
    CutPaid,
    ObjectionRaised,
    Refunded,
    StatementSubmitted,
)
from adtally.audit.copies_check import SeenCheckpoint, check_copies
from adtally.audit.deployment import AuditDeployment
from adtally.audit.facts_check import check_facts, check_lag
from adtally.audit.history import Happened, read_events, read_history
from adtally.audit.log_reader import RootCheck, SignedCheckpoint, read_checkpoint
from adtally.audit.log_tree import LogTree
from adtally.audit.money_check import MoneyCheck
from adtally.audit.ports import (
    AuditMemory,
    ChainSource,
    LogSource,
    Progress,
    PublicFiles,
    no_progress,
)
from adtally.audit.published_check import PublishedCheck
from adtally.audit.reading import STATE_EVERY, Reading
from adtally.audit.receipts_check import GivenReceipt, ReceiptCheck, event_keys
from adtally.audit.replay import Implementation, Replay
from adtally.audit.report import AuditReport, Findings, show
from adtally.audit.resume import Kept, check_chain_position, check_history, choose
from adtally.audit.state import AuditState
from adtally.audit.statements_check import StatementCheck, check_published_lines
from adtally.columns.hashing import PLAIN_HASHING, Hashing
from adtally.errors import ChainUnavailable, ForeignChain, StorageCorrupt
from adtally.events.eip712 import log_domain
from adtally.log.merkle import MerkleTree
from adtally.types import BlockStamp, Checkpoint

CHECKS = {
    "deployment": "the deployment document says what the chain, and a trusted file, say",
    "chain": "events of our contracts decode and stand in blocks of the chain",
    "checkpoint": "the signed checkpoint is the log's and its root that of the entries",
    "entries": "entries downloaded and parsed as bundles",
    "anchors": "root hashes on chain equal the entries' at the same size",
    "replay": "entries replayed: signatures, sequences, times and verdicts",
    "corrections": "corrections: their records, in time, within holdback, cap and funding",
    "history": "what an earlier audit saw of log and chain is still there",
    "facts": "block ranges of chain facts equal the chain's logs",
    "facts_lag": "batches were judged by facts no older than the rules allow",
    "statements": "fields of statements on chain equal those recomputed from the log",
    "lines": "published lines equal the recomputed ones and their proofs prove them",
    "published": "public files are those that the log gives; documents are signed",
    "funding": "deposits add up to the funded totals",
    "claims": "claims: line proven, amount, total and payout address",
    "cuts": "cuts: amount, total and payout address",
    "refunds": "refunds: amount, total, address and time",
    "objections": "objections: bond, activation, decision and where the bond went",
    "balances": "the escrow holds what its campaigns hold, per token",
    "copies": "what others were shown is a prefix of this log, and no longer than it",
    "receipts": "receipts: signed, their batch in the log, their root, anchored in time",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that the deployment document says, and what chain or trusted file say of it."""

    what: str
    where: str
    expected: object
    found: object


@dataclass(frozen=True, slots=True)
class AuditExtras:
    """What an auditor may bring along.

    Attributes:
        memory: states of earlier audits, and where this one leaves its own.
        served: the server itself, where ``log`` keeps what it downloads.
        receipts: promises to hold against the log.
        copies: checkpoints that others were shown, asked for before the audit began.
        claims: what was compared already of the deployment document.
        files: the folder that ``log`` reads, to compare all that is in it.
        implementation: what replays the log; the reference starts from the first entry.
        hashing: computes the log's hashes; see ``columns.hashing.checked``.
    """

    memory: AuditMemory | None = None
    served: LogSource | None = None
    receipts: tuple[GivenReceipt, ...] = ()
    copies: tuple[SeenCheckpoint, ...] = ()
    claims: tuple[Claim, ...] = ()
    files: PublicFiles | None = None
    implementation: Implementation = "columns"
    hashing: Hashing = PLAIN_HASHING


async def run_audit(
    log: LogSource,
    chain: ChainSource,
    deployment: AuditDeployment,
    progress: Progress = no_progress,
    extras: AuditExtras | None = None,
) -> AuditReport:
    """Audit everything up to the newest final block.

    Raises:
        ForeignChain: the node serves another chain than the deployment's.
        ChainUnavailable: it does not answer, or has no final block yet. What the log answers,
            or fails to, is never raised but reported.
    """
    await _require_chain(chain, deployment)
    return await _Audit(log, chain, deployment, progress, extras or AuditExtras()).run()


class _Audit:
    """One run, step by step."""

    def __init__(
        self,
        log: LogSource,
        chain: ChainSource,
        deployment: AuditDeployment,
        progress: Progress,
        extras: AuditExtras,
    ) -> None:
        self._log = log
        self._chain = chain
        self._deployment = deployment
        self._progress = progress
        self._extras = extras
        self._findings = Findings(CHECKS)

    async def run(self) -> AuditReport:
        findings, chain = self._findings, self._chain
        # In this order everything on chain at the pinned block is about entries below the
        # checkpoint, and every fact below the checkpoint is final at the horizon.
        pinned = await _final(chain)
        signed = await read_checkpoint(self._log, self._deployment, findings)
        horizon = await _final(chain)
        for claim in self._extras.claims:
            findings.compare("deployment", claim.what, claim.where, claim.expected, claim.found)
        history = await read_history(chain, self._deployment, horizon.number, self._progress)
        happened = await read_events(chain, history, pinned, findings)
        reading = await self._read(signed, happened)
        first_block = self._deployment.block_number
        await check_facts(reading.facts, history, chain, first_block, horizon, findings)
        await check_lag(reading.trace.stretches, history, chain, findings)
        await self._check_money(reading.replay, happened, pinned)
        await self._check_promises(reading, signed, happened, pinned)
        await self._check_files(reading)
        _fill_figures(findings, pinned, happened, reading)
        self._leave_state(reading, signed, pinned)
        return findings.report()

    async def _read(self, signed: SignedCheckpoint | None, happened: list[Happened]) -> Reading:
        """Steps 1 and 2 in one pass over the entries; collects the facts for step 3."""
        findings, deployment = self._findings, self._deployment
        anchors = [each for each in happened if isinstance(each.event, Anchored)]
        submitted = [each.event for each in happened if isinstance(each.event, StatementSubmitted)]
        sizes = [each.event.tree_size for each in anchors if isinstance(each.event, Anchored)]
        checkpoint = None if signed is None else signed.checkpoint
        extras = self._extras
        tree = LogTree(lambda: MerkleTree(extras.hashing.parents))
        replay = Replay(
            deployment.identity,
            deployment.escrow_domain,
            submitted,
            sizes,
            findings,
            tree,
            implementation=extras.implementation,
            hashing=extras.hashing,
        )
        reading = Reading(self._log, deployment.name, tree, replay, findings, extras.hashing)
        kept = self._kept(checkpoint, submitted, sizes)
        if kept.start is not None:
            reading.resume(kept.start)
            findings.figures.resumed_at = kept.start.size
        tree.watch(sizes)
        roots = RootCheck(tree, findings)
        if checkpoint is not None:
            tree.watch([checkpoint.tree_size])
            await self._read_entries(reading, checkpoint.tree_size)
            roots.compare_checkpoint(checkpoint)
        roots.compare_anchors(anchors)
        replay.finish()
        await check_chain_position(kept.audited, self._chain, findings)
        served = self._extras.served or self._log
        await check_history(kept.audited, checkpoint, reading, served, findings)
        return reading

    def _kept(
        self,
        checkpoint: Checkpoint | None,
        submitted: Sequence[StatementSubmitted],
        sizes: Sequence[int],
    ) -> Kept:
        memory, findings = self._extras.memory, self._findings
        if memory is None or self._extras.implementation == "reference":
            return Kept(None, None)
        name = self._deployment.name
        return choose(memory, name, checkpoint, submitted, sizes, findings)

    async def _read_entries(self, reading: Reading, size: int) -> None:
        """Everything up to ``size``; a long way is written down now and then."""
        memory = self._extras.memory
        while reading.tree.size < size:
            start = reading.tree.size
            await reading.read(min(start + STATE_EVERY, size), self._progress)
            if reading.tree.size == start or self._findings.failed & {"entries", "replay"}:
                await reading.read(size, self._progress)
                return
            state = (
                None if memory is None or reading.tree.size == size else reading.state(b"", None)
            )
            if memory is not None and state is not None:
                memory.write(state.size, state.to_bytes())

    async def _check_money(
        self, replay: Replay, happened: list[Happened], pinned: BlockStamp
    ) -> None:
        """Steps 4 and 5."""
        findings, domain = self._findings, self._deployment.escrow_domain
        submitted = [each.event for each in happened if isinstance(each.event, StatementSubmitted)]
        await check_published_lines(self._log, submitted, replay.recomputed, domain, findings)
        money = MoneyCheck(replay.recomputed, domain, findings)
        statements = StatementCheck(replay.recomputed, findings)
        for number, each in enumerate(happened, start=1):
            statements.take(each)
            money.take(each)
            self._progress("payments", number, len(happened))
        money.close_books(replay.machine)
        await money.check_balances(self._chain, self._deployment.escrow, pinned)

    async def _check_promises(
        self,
        reading: Reading,
        signed: SignedCheckpoint | None,
        happened: list[Happened],
        pinned: BlockStamp,
    ) -> None:
        """Step 6: what others hold in hand."""
        served = None if signed is None else signed.checkpoint
        await check_copies(self._extras.copies, served, reading, self._findings)
        operator = self._deployment.operator_member
        keys = set() if operator is None else event_keys(happened, operator)
        anchors = [each for each in happened if isinstance(each.event, Anchored)]
        domain = log_domain(self._deployment.identity)
        check = ReceiptCheck(reading, domain, keys, anchors, pinned, self._findings)
        for receipt in self._extras.receipts:
            await check.check(receipt)

    async def _check_files(self, reading: Reading) -> None:
        """Every other file, too; of a log that is wrong they show in which place."""
        files, findings = self._extras.files, self._findings
        if files is None or "entries" in findings.failed:
            return
        verifier, first = self._deployment.note_verifier, findings.figures.resumed_at
        await PublishedCheck(files, reading, verifier, first, findings).run(self._progress)

    def _leave_state(
        self, reading: Reading, signed: SignedCheckpoint | None, pinned: BlockStamp
    ) -> None:
        """Nothing is left to go on from unless the log itself was found to be right."""
        memory, findings = self._extras.memory, self._findings
        if memory is None:
            return
        if signed is None or findings.failed & _OF_THE_LOG:
            for size in memory.sizes():
                state = _readable(memory, size, self._deployment.name)
                if state is None or not state.is_audited:
                    memory.drop(size)
            return
        state = reading.state(signed.note, pinned)
        if state is not None:
            memory.write(state.size, state.to_bytes())


_OF_THE_LOG = frozenset({"checkpoint", "entries", "anchors", "replay", "history", "copies"})


def _readable(memory: AuditMemory, size: int, name: str) -> AuditState | None:
    try:
        return AuditState.from_bytes(memory.read(size), name)
    except StorageCorrupt:
        return None


async def _require_chain(chain: ChainSource, deployment: AuditDeployment) -> None:
    found = (await chain.chain_id(), await chain.genesis_hash())
    if found != (deployment.chain_id, deployment.genesis_hash):
        raise ForeignChain(
            "the node serves another chain than the deployment's",
            expected=f"chain {deployment.chain_id}, genesis {show(deployment.genesis_hash)}",
            found=f"chain {found[0]}, genesis {show(found[1])}",
            action="give the RPC endpoint of the deployment's chain",
        )


async def _final(chain: ChainSource) -> BlockStamp:
    final = await chain.final()
    if final is None:
        raise ChainUnavailable(
            "the chain has no final block yet",
            expected="a final block to pin the audit to",
            found="none",
            action="try again when the chain has advanced",
        )
    return final


def _fill_figures(
    findings: Findings, pinned: BlockStamp, happened: list[Happened], reading: Reading
) -> None:
    figures, replay = findings.figures, reading.replay
    figures.tree_size = reading.tree.size
    figures.root_hash = show(reading.tree.root())
    findings.pinned = pinned
    figures.pinned_block = pinned.number
    figures.pinned_block_hash = show(pinned.hash)
    figures.verdicts = replay.verdict_counts()
    figures.records = sum(figures.verdicts.values())
    figures.corrections = replay.corrections
    kinds = [type(each.event) for each in happened]
    figures.anchors = kinds.count(Anchored)
    figures.statements = kinds.count(StatementSubmitted)
    figures.claims = kinds.count(Claimed)
    figures.cuts = kinds.count(CutPaid)
    figures.refunds = kinds.count(Refunded)
    figures.objections = kinds.count(ObjectionRaised)
