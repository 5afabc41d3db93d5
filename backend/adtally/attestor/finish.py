"""Finishing without the operator: anchors, statements, payments, from attestors' stores alone.

Each pass looks at the chain and at the stores, does what can be done now, and says what is left and
until when. Nothing is remembered between passes: what was done stands on the chain, so a pass that
was killed is simply done again, and anybody else's work counts as well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from adtally.attestation.answers import Domains
from adtally.attestor.quorum_hunt import QuorumHunt, StoreStatus, sets_on_chain
from adtally.attestor.sources import LogSource
from adtally.attestor.statement_store import read_statement
from adtally.chain.contracts.campaign_escrow import (
    CLAIM_MANY,
    CampaignEscrow,
    CampaignView,
    Objection,
    claim_many_gas,
)
from adtally.chain.contracts.event_log import NO_ANCHOR, EventLog
from adtally.chain.contracts.membership import Membership
from adtally.chain.contracts.quorum import Quorum
from adtally.chain.deployment import Deployment
from adtally.chain.wallet import Wallet
from adtally.client.fields import Fields
from adtally.errors import AdtallyError, ChainReverted, ChainUnavailable, NotFound
from adtally.jobs.pay import claim_batches
from adtally.settlement.claim_tree import ClaimTree
from adtally.types import Checkpoint, Hash, Line, Statement, Terms

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Left:
    """Something that is not done yet.

    Attributes:
        campaign: 0 where it concerns all.
        what: in words.
        from_seconds: when it can be done, on the chain's clock; None: when who is needed is back.
        until_seconds: before which moment; None: no limit.
        is_others: it is somebody else's to do, so nothing earned hangs on it.
    """

    campaign: int
    what: str
    from_seconds: int | None = None
    until_seconds: int | None = None
    is_others: bool = False


@dataclass(slots=True)
class Pass:
    """What one pass did, and what it left."""

    done: list[str] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        """Everything earned is paid; what is left is the advertisers' own refunds at most."""
        return not self.done and all(each.is_others for each in self.left)


class Finish:
    """One deployment's finish.

    Args:
        wallet: any account with coins for gas.
        sources: attestors' stores.
        say: told each thing that was done.
    """

    def __init__(
        self,
        deployment: Deployment,
        wallet: Wallet,
        sources: Sequence[LogSource],
        say: Callable[[str], None],
    ) -> None:
        self._deployment = deployment
        self._wallet = wallet
        self._chain = wallet.chain
        self._sources = sources
        self._say = say
        self._domains = Domains(deployment.log_identity, deployment.campaign_escrow.address)
        self._event_log = EventLog(self._chain, deployment.event_log.address)
        self._escrow = CampaignEscrow(self._chain, deployment.campaign_escrow.address)
        self._membership = Membership(self._chain, deployment.membership.address)

    async def run_pass(self) -> Pass:
        """Do all that can be done now.

        Raises:
            ChainUnavailable: the node does not answer.
        """
        outcome = Pass()
        sets = await sets_on_chain(self._chain, self._deployment)
        hunt = QuorumHunt(self._sources, self._domains, sets)
        await hunt.gather()
        await self._anchor(hunt, sets[self._deployment.attestor_set].threshold, outcome)
        for campaign in await self._campaigns():
            await self._finish_campaign(campaign, hunt, outcome)
        return outcome

    def _did(self, outcome: Pass, what: str) -> None:
        outcome.done.append(what)
        self._say(what)

    # The anchor --------------------------------------------------------------------------------

    async def _anchor(self, hunt: QuorumHunt, threshold: int, outcome: Pass) -> None:
        """The largest checkpoint that k attestors have stored, signed by them now or before."""
        head = await self._event_log.head_size()
        stores = await hunt.statuses()
        if not stores:
            outcome.left.append(Left(0, "no attestor's store answers"))
            return
        for size in _sizes_of_quorums(stores, threshold, head):
            if await self._propose_checkpoint(hunt, stores, size):
                break
        for following in hunt.signed_checkpoints():
            if following.tree_size <= head:
                break
            quorum = hunt.quorum(following, self._deployment.attestor_set)
            if quorum is None:
                continue
            if await self._submit_from_any(hunt, stores, head, following, quorum, outcome):
                head = following.tree_size
                break
        if stores[0].tree_size > head:
            what = f"{stores[0].tree_size - head} entries are stored and not anchored"
            outcome.left.append(Left(0, f"{what}: {_problems(hunt)}"))

    async def _propose_checkpoint(
        self, hunt: QuorumHunt, stores: Sequence[StoreStatus], size: int
    ) -> bool:
        """Have what any store says is the root at ``size`` signed; whether a quorum did.

        Whichever store lies about its size or the root, the others refuse that and sign the right.
        """
        asked: set[Checkpoint] = set()
        for store in stores:
            if store.tree_size < size:
                break
            try:
                following = await self._root(store.source, size)
            except AdtallyError as error:
                hunt.problems[store.source.url] = str(error)
                continue
            if following not in asked:
                asked.add(following)
                if await hunt.propose(following, self._deployment.attestor_set) is not None:
                    return True
        return False

    async def _root(self, source: LogSource, size: int) -> Checkpoint:
        document = await source.json("/log/proofs/consistency", first=size, second=size)
        return Checkpoint(size, Fields(document, "proof").octets("first_root_hash", 32))

    async def _submit_from_any(
        self,
        hunt: QuorumHunt,
        stores: Sequence[StoreStatus],
        head: int,
        following: Checkpoint,
        quorum: Quorum,
        outcome: Pass,
    ) -> bool:
        """Anchor with a proof from whichever store has one that the contract takes."""
        for store in stores:
            if store.tree_size < following.tree_size:
                break
            try:
                await self._submit_anchor(store.source, head, following, quorum, outcome)
            except ChainUnavailable:
                raise
            except AdtallyError as error:
                hunt.problems[store.source.url] = str(error)
            else:
                return True
        return False

    async def _submit_anchor(
        self,
        source: LogSource,
        head: int,
        following: Checkpoint,
        quorum: Quorum,
        outcome: Pass,
    ) -> None:
        previous, proof = NO_ANCHOR, list[Hash]()
        if head:
            document = Fields(
                await source.json(
                    "/log/proofs/consistency", first=head, second=following.tree_size
                ),
                "proof",
            )
            previous = Checkpoint(head, document.octets("first_root_hash", 32))
            proof = document.hashes("proof")
        call = self._event_log.anchor_call(previous, following, proof, quorum)
        await self._wallet.send(call)
        self._did(outcome, f"anchored the log's {following.tree_size} entries")

    # Campaigns ---------------------------------------------------------------------------------

    async def _campaigns(self) -> list[int]:
        number = await self._escrow.first_campaign()
        found: list[int] = []
        while True:
            try:
                await self._escrow.campaign(number)
            except ChainReverted:
                return found
            found.append(number)
            number += 1

    async def _finish_campaign(self, campaign: int, hunt: QuorumHunt, outcome: Pass) -> None:
        view = await self._escrow.campaign(campaign)
        if view.funded_base_units == 0:
            return
        terms = await self._escrow.terms(campaign)
        for step in (self._state, self._pay, self._release_bond, self._refund):
            try:
                await step(campaign, terms, hunt, outcome)
            except ChainReverted as error:
                outcome.left.append(Left(campaign, f"the escrow refuses: {error.reason}"))
            except (NotFound, AdtallyError) as error:
                outcome.left.append(Left(campaign, str(error)))

    async def _now(self) -> int:
        return (await self._chain.latest()).timestamp_seconds

    async def _state(self, campaign: int, terms: Terms, hunt: QuorumHunt, outcome: Pass) -> None:
        """The next statement, if one is due: what attestors have signed, or else compute."""
        view = await self._escrow.campaign(campaign)
        if view.latest.is_final:
            return
        if await self._now() < view.latest.activates_at_seconds:
            what = f"the statement after {view.latest.sequence}"
            outcome.left.append(
                Left(campaign, what, view.latest.activates_at_seconds, view.closes_at_seconds)
            )
            return
        sequence = view.latest.sequence + 1
        head = await self._event_log.head_size()
        for statement in hunt.signed_statements(campaign, sequence):
            # One that nobody else signs must not stand before one that was begun rightly.
            is_anchored = statement.tree_size <= head
            if is_anchored and await self._settle(statement, terms, hunt, outcome):
                return
        wanted, problems = await self._computed(campaign, sequence, head, view, hunt, terms)
        for statement in wanted:
            if await self._settle(statement, terms, hunt, outcome):
                return
        if wanted or problems:
            reason = _problems(hunt) if wanted else "; ".join(problems)
            what = f"statement {sequence} over {head} entries: {reason}"
            outcome.left.append(Left(campaign, what, None, view.closes_at_seconds))

    async def _computed(
        self,
        campaign: int,
        sequence: int,
        head: int,
        view: CampaignView,
        hunt: QuorumHunt,
        terms: Terms,
    ) -> tuple[list[Statement], list[str]]:
        """What attestors compute, the most common first; none of it if it says nothing new.

        That nothing is owed is believed of as many as would have to sign it: one store alone could
        keep everybody's money back with it.
        """
        votes: dict[Statement, int] = {}
        problems = []
        for source in self._sources:
            try:
                document = await source.json(
                    "/attestations/computed",
                    campaign=campaign,
                    sequence=sequence,
                    tree_size=head,
                )
                statement, _ = read_statement(document)
            except AdtallyError as error:
                problems.append(str(error))
                continue
            votes[statement] = votes.get(statement, 0) + 1
        new = [statement for statement in votes if _says_more(statement, view)]
        if votes and not new:
            agreeing, needed = max(votes.values()), hunt.threshold(terms.attestor_set)
            if agreeing >= needed:
                return [], []
            problems.append(f"{agreeing} of {needed} stores say that nothing more is owed")
        return sorted(new, key=lambda statement: -votes[statement]), problems

    async def _settle(
        self, statement: Statement, terms: Terms, hunt: QuorumHunt, outcome: Pass
    ) -> bool:
        quorum = await hunt.propose(statement, terms.attestor_set)
        if quorum is None:
            return False
        await self._wallet.send(self._escrow.settle_call(statement, quorum))
        kind = "final statement" if statement.is_final else "statement"
        self._did(
            outcome,
            f"campaign {statement.campaign}: {kind} {statement.sequence} settled, "
            f"{statement.lines_total_base_units} base units in all",
        )
        return True

    # Payments ----------------------------------------------------------------------------------

    async def _pay(self, campaign: int, terms: Terms, hunt: QuorumHunt, outcome: Pass) -> None:
        """Everybody's line, and every cut, as far as they are released now."""
        view = await self._escrow.campaign(campaign)
        if view.active.sequence:
            await self._pay_lines(campaign, view, outcome)
            await self._pay_cuts(campaign, terms, outcome)
        view = await self._escrow.campaign(campaign)
        paid = view.claimed_base_units + view.cuts_paid_base_units
        if paid < view.reserved_base_units:
            now = await self._now()
            opens_at = (
                view.latest.activates_at_seconds
                if now < view.latest.activates_at_seconds
                else view.closes_at_seconds
            )
            what = f"{view.reserved_base_units - paid} base units are owed and not paid yet"
            outcome.left.append(Left(campaign, what, opens_at if opens_at > now else None))

    async def _pay_lines(self, campaign: int, view: CampaignView, outcome: Pass) -> None:
        if view.claimed_base_units == view.active.lines_total_base_units:
            return
        lines = await self._lines(campaign, view)
        tree = ClaimTree(self._deployment.escrow_domain, campaign, lines)
        for _, batch in claim_batches(tree, campaign, lines):
            call, gas = self._escrow.claim_many_call(batch), claim_many_gas(batch)
            answer = await self._chain.call(
                call.to, call.data, sender=self._wallet.address, gas=gas
            )
            amount = int(CLAIM_MANY.decode(answer))
            if amount:
                await self._wallet.send(call, gas=gas)
                self._did(
                    outcome, f"campaign {campaign}: claimed {amount} base units for publishers"
                )

    async def _lines(self, campaign: int, view: CampaignView) -> list[Line]:
        """The active statement's lines, from whichever store has them; their root is on chain."""
        sequence = view.active.sequence
        for source in self._sources:
            try:
                document = await source.json(f"/campaigns/{campaign}/statements/{sequence}")
                _, lines = read_statement(document)
                tree = ClaimTree(self._deployment.escrow_domain, campaign, lines)
            except AdtallyError as error:
                logger.info("%s", error)
                continue
            if tree.root == view.active.lines_root:
                return lines
        raise NotFound(
            f"no store has the lines of statement {sequence} of campaign {campaign}",
            expected=f"lines with root {view.active.lines_root.hex()}",
            action="name more attestors with --peer",
        )

    async def _pay_cuts(self, campaign: int, terms: Terms, outcome: Pass) -> None:
        for index, cut in enumerate(terms.cuts):
            amount = await self._escrow.cut_payable(campaign, index)
            if amount:
                await self._wallet.send(self._escrow.pay_cut_call(campaign, index))
                self._did(
                    outcome, f"campaign {campaign}: paid a cut of {amount} to member {cut.member}"
                )

    async def _release_bond(
        self, campaign: int, terms: Terms, hunt: QuorumHunt, outcome: Pass
    ) -> None:
        view = await self._escrow.campaign(campaign)
        if view.objection is Objection.NONE:
            return
        if view.objection is Objection.OPEN and await self._now() < view.closes_at_seconds:
            what = "the bond of an undecided objection"
            outcome.left.append(Left(campaign, what, view.closes_at_seconds))
            return
        await self._wallet.send(self._escrow.release_objection_bond_call(campaign))
        self._did(outcome, f"campaign {campaign}: released the bond of the objection")

    async def _refund(self, campaign: int, terms: Terms, hunt: QuorumHunt, outcome: Pass) -> None:
        """Only the advertiser's own account can take back what is not owed."""
        view = await self._escrow.campaign(campaign)
        refundable = await self._escrow.refundable(campaign)
        if refundable:
            member = await self._membership.member(view.advertiser)
            if member.account == self._wallet.address:
                await self._wallet.send(self._escrow.refund_call(campaign))
                self._did(outcome, f"campaign {campaign}: refunded {refundable} base units")
                return
            what = f"advertiser {view.advertiser} can take back {refundable} base units"
            outcome.left.append(Left(campaign, what, is_others=True))
            return
        # What is funded counts refunds no more; what is reserved stays until it is paid.
        free = view.funded_base_units - view.refunded_base_units - view.reserved_base_units
        if free > 0:
            what = f"the advertiser's {free} base units that nobody has earned"
            outcome.left.append(Left(campaign, what, view.closes_at_seconds, is_others=True))


def _sizes_of_quorums(stores: Sequence[StoreStatus], threshold: int, head: int) -> list[int]:
    """Sizes that a quorum says it has stored, above what is anchored; the largest first.

    Several, as the largest may be said by one that does not have it.
    """
    sizes = {store.tree_size for store in stores[threshold - 1 :] if store.tree_size > head}
    return sorted(sizes, reverse=True)


def _says_more(statement: Statement, view: CampaignView) -> bool:
    """Whether a statement is worth its sequence: it owes something else, or it is the last."""
    latest = view.latest
    if statement.is_final:
        return True
    before = (latest.lines_total_base_units, latest.corrections)
    after = (statement.lines_total_base_units, statement.corrections)
    if latest.sequence == 0:
        return statement.lines_total_base_units > 0
    return after != before or statement.lines_root != latest.lines_root


def _problems(hunt: QuorumHunt) -> str:
    return "; ".join(f"{url}: {error}" for url, error in hunt.problems.items()) or "no quorum"
