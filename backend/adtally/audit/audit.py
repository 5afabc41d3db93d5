"""The audit: everything re-derived from the public log and the chain, trusting neither operator
nor attestors.

Steps:
1. download the log, rebuild its tree, compare with the signed checkpoint and every anchor;
2. replay it: every signature, verdict and amount is computed again;
3. compare the facts in the log with the chain;
4. recompute every statement on chain at its tree size, and the lines published with it;
5. check every deposit, claim, cut, refund and objection, and the token balances;
6. count what only the chain can vouch for: that a quorum attested each anchor and statement.
"""

from __future__ import annotations

from adtally.audit.chain_events import (
    Anchored,
    Claimed,
    CutPaid,
    ObjectionRaised,
    Refunded,
    StatementSubmitted,
)
from adtally.audit.deployment import AuditDeployment
from adtally.audit.facts_check import FactsCollector, check_facts
from adtally.audit.history import Happened, read_events, read_history
from adtally.audit.log_reader import RootCheck, read_checkpoint, read_entries
from adtally.audit.money_check import MoneyCheck
from adtally.audit.ports import ChainSource, LogSource, Progress, no_progress
from adtally.audit.replay import Implementation, Replay
from adtally.audit.report import AuditReport, Findings, show
from adtally.audit.statements_check import StatementCheck, check_published_lines
from adtally.columns.entries import EntryColumns
from adtally.columns.hashing import PLAIN_HASHING, Hashing
from adtally.errors import ChainUnavailable, ForeignChain
from adtally.types import BlockStamp, Checkpoint

CHECKS = {
    "chain": "events of our contracts decode and stand in blocks of the chain",
    "checkpoint": "the signed checkpoint is the log's and its root that of the entries",
    "entries": "entries downloaded and parsed as bundles",
    "anchors": "root hashes on chain equal the entries' at the same size",
    "replay": "entries replayed: signatures, sequences, times and verdicts",
    "corrections": "corrections: their records, in time, within holdback, cap and funding",
    "facts": "block ranges of chain facts equal the chain's logs",
    "statements": "fields of statements on chain equal those recomputed from the log",
    "lines": "published lines equal the recomputed ones and their proofs prove them",
    "funding": "deposits add up to the funded totals",
    "claims": "claims: line proven, amount, total and payout address",
    "cuts": "cuts: amount, total and payout address",
    "refunds": "refunds: amount, total, address and time",
    "objections": "objections: bond, activation, decision and where the bond went",
    "balances": "the escrow holds what its campaigns hold, per token",
}


async def run_audit(
    log: LogSource,
    chain: ChainSource,
    deployment: AuditDeployment,
    progress: Progress = no_progress,
    *,
    implementation: Implementation = "columns",
    hashing: Hashing = PLAIN_HASHING,
) -> AuditReport:
    """Audit everything up to the newest final block.

    Args:
        implementation: what replays the log.
        hashing: computes the log's hashes; see ``columns.hashing.checked``.

    Raises:
        ForeignChain: the node serves another chain than the deployment's.
        ChainUnavailable: it does not answer, or has no final block yet. What the log answers,
            or fails to, is never raised but reported.
    """
    findings = Findings(CHECKS)
    await _require_chain(chain, deployment)
    # In this order everything on chain at the pinned block is about entries below the
    # checkpoint, and every fact below the checkpoint is final at the horizon.
    pinned = await _final(chain)
    checkpoint = await read_checkpoint(log, deployment, findings)
    horizon = await _final(chain)
    history = await read_history(chain, deployment, horizon.number, progress)
    happened = await read_events(chain, history, pinned, findings)
    anchors = [each for each in happened if isinstance(each.event, Anchored)]
    submitted = [each.event for each in happened if isinstance(each.event, StatementSubmitted)]
    roots = RootCheck(findings, hashing)
    replay = Replay(
        deployment.identity,
        deployment.escrow_domain,
        submitted,
        [each.event.tree_size for each in anchors if isinstance(each.event, Anchored)],
        findings,
        roots,
        implementation=implementation,
        hashing=hashing,
    )
    facts = await _read_log(log, checkpoint, anchors, roots, replay, findings, progress)
    await check_facts(facts, history, chain, deployment.block_number, horizon, findings)
    await check_published_lines(
        log, submitted, replay.recomputed, deployment.escrow_domain, findings
    )
    money = MoneyCheck(replay.recomputed, deployment.escrow_domain, findings)
    statements = StatementCheck(replay.recomputed, findings)
    for number, each in enumerate(happened, start=1):
        statements.take(each)
        money.take(each)
        progress("payments", number, len(happened))
    money.close_books(replay.machine)
    await money.check_balances(chain, deployment.escrow, pinned)
    _fill_figures(findings, pinned, happened, replay)
    return findings.report()


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


async def _read_log(
    log: LogSource,
    checkpoint: Checkpoint | None,
    anchors: list[Happened],
    roots: RootCheck,
    replay: Replay,
    findings: Findings,
    progress: Progress,
) -> FactsCollector:
    """Steps 1 and 2 in one pass over the entries; collects the facts for step 3."""
    facts = FactsCollector()
    if checkpoint is not None:
        async for read in read_entries(log, checkpoint.tree_size, findings, progress):
            entries = EntryColumns.of(read)
            roots.add(entries)
            facts.add(entries)
            replay.feed(entries)
        roots.compare_checkpoint(checkpoint)
    roots.compare_anchors(anchors)
    replay.finish()
    figures = findings.figures
    figures.tree_size = roots.size
    figures.root_hash = show(roots.root())
    return facts


def _fill_figures(
    findings: Findings, pinned: BlockStamp, happened: list[Happened], replay: Replay
) -> None:
    figures = findings.figures
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
