"""A whole service without its HTTP edge, on a real chain: for tests of the jobs.

One campaign of an advertiser, two publishers and an agency; three attestors of whom two must
sign. The service can be dropped at any moment and opened again on what it left on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from eth_utils import keccak

from adtally.audit.audit import run_audit
from adtally.audit.deployment import AuditDeployment
from adtally.audit.report import AuditReport
from adtally.chain.accounts import local_account
from adtally.chain.compile import compile_contracts
from adtally.chain.connection import Chain
from adtally.chain.contracts.campaign_escrow import CampaignEscrow
from adtally.chain.contracts.event_log import EventLog
from adtally.chain.contracts.membership import Membership
from adtally.chain.contracts.token import Token
from adtally.chain.deploy import MemberKeys, deploy
from adtally.chain.deployment import Deployment
from adtally.chain.effects import standard_effects
from adtally.chain.outbox import Outbox
from adtally.chain.wallet import Wallet
from adtally.chain.watcher import Watcher
from adtally.client.escrow_member import EscrowMember
from adtally.errors import InvariantBroken
from adtally.events.batch import sign_batch
from adtally.events.correction import CorrectionOrder, CorrectionReason
from adtally.events.eip712 import declaration_digest, log_domain
from adtally.events.facts import Declaration, DeclarationKind, RulesFacts
from adtally.events.record import NO_PARENT, AdEvent, EventType, new_event_id
from adtally.events.signature import address_of, sign
from adtally.events.verdict import Verdict
from adtally.intake.corrections import Entered, enter_correction
from adtally.intake.receipts import BatchResult
from adtally.intake.sequencer import Sequencer
from adtally.jobs.attestations import AttestationDesk
from adtally.jobs.context import JobContext
from adtally.jobs.decisions import AnchorPolicy
from adtally.jobs.requests import RequestBook
from adtally.jobs.runner import JobRunner, standard_jobs
from adtally.log.checkpoint import NoteSigner, sign_checkpoint
from adtally.log.store import LogStore
from adtally.settlement.claim_tree import ClaimTree
from adtally.settlement.machine import LogMachine
from adtally.storage.database import Database
from adtally.storage.migrations import upgrade
from adtally.storage.repositories import attestations, ledger, outbox, statements
from adtally.storage.rows import AnchorRow, StatementRow, TransferRow
from adtally.storage.stores import SqlOutboxStore, SqlWatcherStore
from adtally.types import Cut, GoalType, OutboxRow, Rates, Role, Terms
from adtally.verification.rule_set import RuleSet

PROJECT_ROOT = Path(__file__).parents[2]
OPERATOR, ADVERTISER, ALICE, BOB, AGENCY = 1, 2, 3, 4, 5
CAMPAIGN, PLACEMENT, CREATIVE = 1, 7, 9
RATES = Rates(2_000_000, 500_000, 250_000, 5_000_000)
CAP = 10**12
FUNDING = 10**9
BOND = 3 * 10**6
RECEIPT_KEY = keccak(b"receipt key")
ATTESTOR_KEYS = [keccak(b"attestor %d" % number) for number in range(3)]
_ROLES = {
    ADVERTISER: Role.ADVERTISER,
    ALICE: Role.PUBLISHER,
    BOB: Role.PUBLISHER,
    AGENCY: Role.INTERMEDIARY,
}


def event_key(member: int) -> bytes:
    """The member's private event key."""
    return keccak(b"event key %d" % member)


class ManualClock:
    """Stands still until a test moves it."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms


@dataclass(slots=True)
class Running:
    """An opened service."""

    context: JobContext
    runner: JobRunner
    desk: AttestationDesk


@dataclass(slots=True)
class JobsWorld:
    """See the module's docstring. ``start`` makes one."""

    folder: Path
    chain: Chain
    deployment: Deployment
    clock: ManualClock
    terms: Terms
    policy: AnchorPolicy = field(default_factory=AnchorPolicy)
    minimum_base_units: int = 1
    rpc_url: str = ""
    broken: list[InvariantBroken] = field(default_factory=list)
    running: Running | None = None
    _next_event: int = 0

    @classmethod
    async def start(
        cls,
        url: str,
        folder: Path,
        *,
        threshold: int = 0,
        goal: tuple[GoalType, int] = (GoalType.NONE, 0),
        dispute_window_seconds: int = 0,
        correction_window_seconds: int = 1_800,
        holdback_basis_points: int = 0,
        funding: int = FUNDING,
    ) -> JobsWorld:
        """Deploy fresh contracts, open and fund the campaign, accept both orders."""
        chain = Chain(url)
        deployment = await deploy(
            chain,
            compile_contracts(PROJECT_ROOT),
            deployer_key=local_account(0).private_key,
            operator=MemberKeys(local_account(OPERATOR).address, address_of(RECEIPT_KEY)),
            attestors=[address_of(key) for key in ATTESTOR_KEYS],
            threshold=2,
        )
        start = (await chain.latest()).timestamp_seconds + 1_000
        terms = Terms(
            token=deployment.tokens["USDX"].address,
            flight_start_seconds=start,
            flight_end_seconds=start + 86_400,
            late_window_seconds=3_600,
            correction_window_seconds=correction_window_seconds,
            dispute_window_seconds=dispute_window_seconds,
            grace_seconds=86_400 + 3 * dispute_window_seconds,
            notice_seconds=3_600,
            attestor_set=deployment.attestor_set,
            holdback_basis_points=holdback_basis_points,
            objection_bond_base_units=BOND if dispute_window_seconds else 0,
            goal_type=goal[0],
            goal_count=goal[1],
            settle_threshold_base_units=threshold,
            cuts=(Cut(AGENCY, 500),),
        )
        clock = ManualClock((start + 3_600) * 1000)
        world = cls(folder, chain, deployment, clock, terms, rpc_url=url)
        await world._register()
        await world._open_campaign(funding)
        await world.move_to(clock.at_ms)
        await world.open()
        return world

    # Members' own transactions -----------------------------------------------------------------

    @property
    def escrow(self) -> CampaignEscrow:
        return CampaignEscrow(self.chain, self.deployment.campaign_escrow.address)

    @property
    def token(self) -> Token:
        return Token(self.chain, self.terms.token)

    def wallet(self, member: int) -> Wallet:
        return Wallet(self.chain, local_account(member).private_key)

    def member(self, member: int) -> EscrowMember:
        """The member's account facing the escrow."""
        key = local_account(member).private_key
        return EscrowMember(self.chain, self.escrow.address, key)

    async def _register(self) -> None:
        people = Membership(self.chain, self.deployment.membership.address)
        registrar = Wallet(self.chain, local_account(0).private_key)
        for member, role in _ROLES.items():
            await registrar.send(
                people.register_call(
                    local_account(member).address,
                    role,
                    kyc_reference=bytes(32),
                    kyc_expires_seconds=2**40,
                    event_key=address_of(event_key(member)),
                    payout=self.payout(member),
                )
            )

    @staticmethod
    def payout(member: int) -> bytes:
        """A fresh address that only ever receives money."""
        return keccak(b"payout %d" % member)[12:]

    async def _open_campaign(self, funding: int) -> None:
        advertiser, escrow = self.wallet(ADVERTISER), self.escrow
        await advertiser.send(escrow.open_campaign_call(self.terms))
        for publisher in (ALICE, BOB):
            await advertiser.send(escrow.offer_order_call(CAMPAIGN, publisher, RATES, CAP))
            await self.wallet(publisher).send(escrow.accept_order_call(CAMPAIGN, RATES, CAP))
        if funding:
            await self.fund(funding)

    async def fund(self, amount: int) -> None:
        advertiser = self.wallet(ADVERTISER)
        await advertiser.send(self.token.mint_call(advertiser.address, amount))
        await advertiser.send(self.token.approve_call(self.escrow.address, amount))
        await advertiser.send(self.escrow.fund_call(CAMPAIGN, amount))

    async def move_to(self, now_ms: int) -> None:
        """Move chain and clock; the chain first, as in the demo."""
        seconds = -(-now_ms // 1000)
        if (await self.chain.latest()).timestamp_seconds < seconds:
            await self.chain.rpc.request("evm_setNextBlockTimestamp", hex(seconds))
            await self.chain.rpc.request("evm_mine")
        self.clock.at_ms = now_ms

    async def advance(self, seconds: int) -> None:
        await self.move_to(self.clock.at_ms + seconds * 1000)

    async def end_flight(self) -> None:
        """To the first moment in which a statement of the campaign may be final."""
        end = (
            self.terms.flight_end_seconds
            + self.terms.late_window_seconds
            + self.terms.correction_window_seconds
        )
        await self.move_to(end * 1000)

    # The service -------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the service on what is in the folder."""
        chain = Chain(self.rpc_url, timeout_seconds=5.0)
        database = Database(f"sqlite+aiosqlite:///{self.folder}/control.db")
        await upgrade(database)
        machine = LogMachine(self.deployment.log_identity, self.deployment.escrow_domain)
        store = LogStore.open(self.folder / "log", segment_bytes=1 << 20)
        sequencer = Sequencer(store, machine, self.clock, RECEIPT_KEY)
        sequencer.recover()
        sequencer.start()
        if machine.rules is None:
            rules = RuleSet(max_event_age_ms=10 * 86_400_000).to_json()
            await sequencer.enter_facts(lambda at_ms: [RulesFacts(at_ms, rules)])
        context = self._context(chain, database, sequencer)
        jobs = standard_jobs(
            context,
            self.policy,
            self.deployment.escrow_domain,
            push_minimum_base_units=self.minimum_base_units,
        )
        runner = JobRunner(jobs, on_invariant_broken=self.broken.append)
        self.running = Running(
            context, runner, AttestationDesk(database, self.clock, self.deployment.log_identity)
        )

    def _context(self, chain: Chain, database: Database, sequencer: Sequencer) -> JobContext:
        deployment = self.deployment
        escrow = CampaignEscrow(chain, deployment.campaign_escrow.address)
        log = EventLog(chain, deployment.event_log.address)
        watcher = Watcher(
            chain,
            deployment.identity,
            SqlWatcherStore(database),
            [contract.address for contract in deployment.contracts.values()],
            first_block=deployment.block_number,
        )
        return JobContext(
            database=database,
            sequencer=sequencer,
            clock=self.clock,
            chain=chain,
            watcher=watcher,
            outbox=Outbox(
                chain,
                deployment.identity,
                SqlOutboxStore(database),
                local_account(OPERATOR).private_key,
                standard_effects(log, escrow),
            ),
            membership=Membership(chain, deployment.membership.address),
            event_log=log,
            escrow=escrow,
            requests=RequestBook(
                deployment.log_identity, deployment.escrow_domain, deployment.attestor_set
            ),
            first_block=deployment.block_number,
            tokens=frozenset(token.address for token in deployment.tokens.values()),
        )

    @property
    def context(self) -> JobContext:
        assert self.running is not None
        return self.running.context

    async def close(self) -> None:
        """Close the service, finished or not; nothing is flushed that was not durable already."""
        if self.running is not None:
            context = self.running.context
            self.running = None
            await context.sequencer.stop()
            await context.database.close()
            await context.chain.close()

    async def stop(self) -> None:
        """End of the test."""
        await self.close()
        await self.chain.close()

    # What happens in it ------------------------------------------------------------------------

    async def declare(self) -> None:
        """Register the placements and the creative."""
        wanted = [
            (DeclarationKind.PLACEMENT, ALICE, 0, ALICE, PLACEMENT),
            (DeclarationKind.PLACEMENT, BOB, 0, BOB, PLACEMENT),
            (DeclarationKind.CREATIVE, ADVERTISER, CAMPAIGN, 0, CREATIVE),
        ]
        domain = log_domain(self.deployment.log_identity)
        for kind, member, campaign, publisher, item in wanted:
            key = event_key(member)
            values = (kind, True, member, campaign, publisher, item, self.clock.at_ms)
            digest = declaration_digest(domain, address_of(key), *values, "detail")
            signature = sign(digest, key)

            def make(
                at_ms: int, values: tuple = values, key: bytes = key, signed: bytes = signature
            ) -> list[Declaration]:
                return [Declaration(at_ms, *values, address_of(key), signed, "detail")]

            await self.context.sequencer.enter_facts(make)

    async def send(self, publisher: int, impressions: int) -> BatchResult:
        """Send a batch of honest impressions, each worth 2,000 base units."""
        events = []
        for _ in range(impressions):
            self._next_event += 1
            event_id = new_event_id(self.clock.at_ms, self._next_event.to_bytes(10, "big"))
            events.append(
                AdEvent(
                    EventType.IMPRESSION,
                    CAMPAIGN,
                    publisher,
                    PLACEMENT,
                    CREATIVE,
                    event_id,
                    self.clock.at_ms,
                    NO_PARENT,
                )
            )
        sequencer, identity = self.context.sequencer, self.deployment.log_identity
        batch = sign_batch(
            log_domain(identity),
            identity.chain_id,
            event_key(publisher),
            publisher,
            sequencer.machine.next_sequence(publisher),
            [event.to_record() for event in events],
        )
        return await sequencer.submit(batch)

    async def send_accepted(self, publisher: int, impressions: int) -> int:
        """Returns the leaf index of the first record."""
        result = await self.send(publisher, impressions)
        assert set(result.verdicts) == {Verdict.ACCEPTED}
        return result.receipt.first_index + 1

    async def correct(self, index: int, change: int, detail: str = "") -> Entered:
        """Enter a correction as the operator."""
        reason = CorrectionReason.LATE_SIVT if change < 0 else CorrectionReason.MAKE_GOOD
        unsigned = CorrectionOrder(
            index, change, reason, detail, address_of(RECEIPT_KEY), bytes(65)
        )
        digest = unsigned.digest(log_domain(self.deployment.log_identity))
        order = replace(unsigned, signature=sign(digest, RECEIPT_KEY))
        return await enter_correction(
            self.context.sequencer, self.deployment.operator_member, order
        )

    async def attest(self, keys: int = 2) -> int:
        """Let the first attestors sign whatever is open; how many signatures that were."""
        assert self.running is not None
        signed = 0
        for key in ATTESTOR_KEYS[:keys]:
            attestor = address_of(key)
            for request in await self.running.desk.open_requests(attestor):
                await self.running.desk.record_signature(
                    request.id, attestor, sign(request.digest, key)
                )
                signed += 1
        return signed

    async def round(self) -> bool:
        """One round of every job, then the attestors."""
        assert self.running is not None
        went_through = await self.running.runner.run_all()
        await self.attest()
        return went_through

    async def settle_down(self, most_rounds: int = 40) -> None:
        """Rounds until nothing changes any more."""
        before: object = None
        still = 0
        for _ in range(most_rounds):
            assert await self.round(), self.failing
            now = await self.snapshot()
            still = still + 1 if now == before else 0
            if still == 2:
                return
            before = now
        raise AssertionError(f"still changing after {most_rounds} rounds: {before}")

    @property
    def failing(self) -> Mapping[str, str]:
        assert self.running is not None
        return self.running.runner.failing

    async def snapshot(self) -> object:
        """All that can change while the world stands still."""
        rows = await self.transactions()
        async with self.context.database.session() as session:
            asked = await attestations.largest_requested_size(session)
        return (
            self.context.sequencer.tree.size,
            asked,
            [(row.effect_key, row.state) for row in rows],
            await self.anchors(),
            await self.statements(),
            await self.transfers(),
        )

    # What came of it ---------------------------------------------------------------------------

    async def anchors(self) -> list[AnchorRow]:
        async with self.context.database.session() as session:
            return await ledger.list_anchors(session)

    async def statements(self) -> list[StatementRow]:
        async with self.context.database.session() as session:
            return await statements.list_statements(session)

    async def transfers(self) -> list[TransferRow]:
        async with self.context.database.session() as session:
            return await ledger.list_transfers(session)

    async def transactions(self) -> list[OutboxRow]:
        async with self.context.database.session() as session:
            return await outbox.list_transactions(session)

    async def audit(self) -> AuditReport:
        """What an auditor finds in the log as it is now."""
        signer = NoteSigner(self.deployment.log_origin, RECEIPT_KEY)
        document = self.deployment.to_json() | {"note_verifier": str(signer.verifier)}
        log = _OpenLog(self, signer)
        return await run_audit(log, self.chain, AuditDeployment.from_json(document))

    async def received(self, member: int) -> int:
        """What has arrived at the member's payout address."""
        return await self.token.balance_of(self.payout(member))


@dataclass(frozen=True, slots=True)
class _OpenLog:
    """The running service's log as its public endpoints would serve it."""

    world: JobsWorld
    signer: NoteSigner

    async def checkpoint_note(self) -> bytes:
        return sign_checkpoint(self.signer, self.world.context.sequencer.checkpoint())

    async def entries(self, start: int, end: int) -> list[bytes]:
        store = self.world.context.sequencer.store
        return [store.entry(index) for index in range(start, end)]

    async def statement(self, campaign: int, sequence: int) -> object:
        async with self.world.context.database.session() as session:
            lines = await statements.list_lines(session, campaign, sequence)
        tree = ClaimTree(self.world.deployment.escrow_domain, campaign, lines)
        return {
            "lines": [
                {
                    "publisher": line.publisher,
                    "counts": asdict(line.counts),
                    "amount_base_units": str(line.amount_base_units),
                    "proof": ["0x" + node.hex() for node in tree.proof(line.publisher)],
                }
                for line in lines
            ]
        }
