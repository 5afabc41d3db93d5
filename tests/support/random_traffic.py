"""Random logs: facts that change, corrections, and events with something wrong.

Every step is judged by the reference and by another engine, which must agree.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import strategies as st

from adtally.errors import AdtallyError
from adtally.events.batch import sign_batch
from adtally.events.correction import Correction, CorrectionReason
from adtally.events.facts import ChainFacts, DeclarationKind, RulesFacts
from adtally.events.record import (
    NO_PARENT,
    AdEvent,
    EventType,
    NetworkClass,
    UserAgentClass,
    new_event_id,
)
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.engine import Engine, PlainEngine
from adtally.settlement.machine import LogMachine, batch_entries
from adtally.types import UINT64_MAX, Cut, Rates, Role
from adtally.verification.fact_state import FactState
from adtally.verification.rule_set import RuleSet
from support.world import (
    ADVERTISER,
    ALICE,
    BOB,
    CAMPAIGN,
    CHAIN_ID,
    CREATIVE,
    ESCROW_DOMAIN,
    FLIGHT_START,
    IDENTITY,
    LOG_DOMAIN,
    OPERATOR,
    PLACEMENT,
    RECEIPT_KEY,
    World,
    encoded_log,
    key_of,
)

OTHER_CAMPAIGN = 2
MINUTE_MS = 60_000


class Twins:
    """One log, judged by both engines at once; every step compares them."""

    def __init__(self, world: World, random: Random, engine: Callable[[FactState], Engine]) -> None:
        self.world = world
        self.random = random
        self.tree = MerkleTree()
        self.plain, self.fast = (
            LogMachine(
                IDENTITY, ESCROW_DOMAIN, verify_signatures=False, leaves=self.tree, engine=each
            )
            for each in (PlainEngine, engine)
        )
        self.now_ms = FLIGHT_START * 1000
        self.block = 40
        self.sent: list[AdEvent] = []
        self.records: dict[int, bytes] = {}
        self.entries: list[bytes] = []
        for facts in world.facts():
            self.enter(facts)
        self._open_other_campaign()

    def enter(self, facts: Any) -> None:
        outcomes = [outcome(machine.apply_facts, facts) for machine in (self.plain, self.fast)]
        assert outcomes[0] == outcomes[1]
        if outcomes[0] is None:
            self._log([facts.to_entry()])
        self.compare()

    def chain(self, *logs: tuple[str, list[Any], list[Any]]) -> None:
        self.block += 1
        made = tuple(encoded_log(*log, self.block, at) for at, log in enumerate(logs))
        block = self.block
        self.enter(ChainFacts(self.now_ms, block, block, b"\x02" * 32, self.now_ms // 1000, made))

    def _open_other_campaign(self) -> None:
        """With other prices, for one of the publishers."""
        world = self.world
        self.chain(
            ("CampaignOpened", [OTHER_CAMPAIGN, ADVERTISER], [world.terms()]),
            ("Funded", [OTHER_CAMPAIGN, bytes(20)], [world.funding // 2, world.funding // 2]),
            ("OrderAccepted", [OTHER_CAMPAIGN, ALICE], [(1_500_000, 0, 3, 10**15), world.cap]),
        )
        kind = DeclarationKind.CREATIVE
        fields = {"campaign": OTHER_CAMPAIGN, "item": CREATIVE, "at_ms": self.now_ms}
        self.enter(world.declaration(kind, ADVERTISER, **fields))

    def send(self, events: list[AdEvent], member: int) -> None:
        records = tuple(event.to_record() for event in events)
        sequence = self.plain.next_sequence(member)
        key = RECEIPT_KEY if member == OPERATOR else key_of(member)
        batch = sign_batch(LOG_DOMAIN, CHAIN_ID, key, member, sequence, records)
        verdicts = self.plain.judge_batch(batch, self.now_ms)
        assert self.fast.judge_batch(batch, self.now_ms) == verdicts
        entries = batch_entries(batch, self.now_ms, verdicts)
        for at, entry in enumerate(entries[1:], self.tree.size + 1):
            self.records[at] = entry
        self._log(entries)
        self.sent += events
        self.compare()

    def _log(self, entries: list[bytes]) -> None:
        self.entries += entries
        self.tree.append([leaf_hash(entry) for entry in entries])

    def correct(self) -> None:
        if not self.records:
            return
        index = self.random.choice(list(self.records))
        change = self.random.choice((1, -1))
        reason = CorrectionReason.LATE_SIVT if change < 0 else CorrectionReason.MAKE_GOOD
        self.enter(Correction(self.now_ms, index, change, reason, self.records[index], ""))

    def compare(self) -> None:
        assert self.plain.size == self.fast.size == self.tree.size
        for campaign in (CAMPAIGN, OTHER_CAMPAIGN):
            plain, fast = self.plain.accruals, self.fast.accruals
            assert plain.lines(campaign) == fast.lines(campaign)
            assert plain.lines_total_base_units(campaign) == fast.lines_total_base_units(campaign)
            assert plain.corrections(campaign) == fast.corrections(campaign)
            assert plain.counts(campaign) == fast.counts(campaign)


def outcome(call: Any, *arguments: Any) -> str | None:
    """What an action raises, None if it is done."""
    try:
        call(*arguments)
    except AdtallyError as error:
        return f"{type(error).__name__}: {error}"
    return None


def random_event(twins: Twins) -> AdEvent:
    """Mostly one that could count, often with something wrong."""
    random, world = twins.random, twins.world
    if twins.sent and random.random() < 0.15:
        again = random.choice(twins.sent)
        return again if random.random() < 0.5 else _with(again, country="NL")
    kind = random.choice((1, 1, 1, 2, 3, 3, 4))
    offset = random.choice((0, 0, 0, -1, -90, -100_000, 30, 61, 3_600, 90_000)) * 1000
    occurred_at_ms = max(twins.now_ms + offset - random.randrange(3), 0)
    parent = None if kind == 1 else _some_parent(twins, kind)
    publisher = random.choice((ALICE, BOB)) if parent is None else parent.publisher
    event = world.event(
        EventType(kind),
        occurred_at_ms=occurred_at_ms,
        campaign=random.choice((CAMPAIGN,) * 12 + (OTHER_CAMPAIGN,) * 3 + (99,)),
        publisher=_mostly(random, publisher, ADVERTISER, 77),
        placement=_mostly(random, PLACEMENT, 8),
        creative=_mostly(random, CREATIVE, 10),
        user_agent_class=_mostly(random, UserAgentClass.BROWSER, UserAgentClass.KNOWN_BOT),
        network_class=_mostly(random, NetworkClass.CONSUMER, NetworkClass.DATA_CENTER),
        parent_id=NO_PARENT if kind == 1 else _id_of(parent, twins),
    )
    if kind == 4 and random.random() < 0.3:
        return _with(event, value_minor_units=UINT64_MAX, currency=978)
    return event


def _mostly(random: Random, usual: Any, *others: Any) -> Any:
    return usual if random.random() < 0.93 else random.choice(others)


def _with(event: AdEvent, **changes: Any) -> AdEvent:
    names = AdEvent.__dataclass_fields__
    return AdEvent(**({name: getattr(event, name) for name in names} | changes))


def _some_parent(twins: Twins, kind: int) -> AdEvent | None:
    """A recent one, so that some are named twice."""
    wanted = EventType.CLICK if kind == 4 else EventType.IMPRESSION
    fitting = [event for event in twins.sent[-100:] if event.type is wanted]
    return twins.random.choice(fitting) if fitting and twins.random.random() < 0.95 else None


def _id_of(parent: AdEvent | None, twins: Twins) -> bytes:
    return new_event_id(twins.now_ms, twins.random.randbytes(10)) if parent is None else parent.id


def change_facts(twins: Twins) -> None:
    """Something that verdicts depend on becomes another."""
    random, world, now_s = twins.random, twins.world, twins.now_ms // 1000
    match random.randrange(10):
        case 0:
            total = world.funding * random.randrange(1, 4)
            twins.chain(("Funded", [CAMPAIGN, bytes(20)], [total, total]))
        case 1:
            twins.chain(("OrderEnded", [CAMPAIGN, BOB], [now_s + random.randrange(-60, 60)]))
        case 2:
            twins.chain(("CampaignEnded", [CAMPAIGN], [now_s + random.randrange(600)]))
        case 3:
            roles = random.choice((Role.PUBLISHER, Role.COLLECTOR, Role.ADVERTISER))
            twins.chain(("RolesChanged", [BOB], [roles]))
        case 4:
            rules = RuleSet(
                max_event_age_ms=random.choice((MINUTE_MS, 86_400_000)),
                click_window_ms=random.choice((1_000, 86_400_000)),
                publisher_conversions=random.random() < 0.8,
                refused_network_classes=random.choice(((), (3,), (1, 255))),
            )
            twins.enter(RulesFacts(twins.now_ms, rules.to_json()))
        case 5:
            publisher = random.choice((ALICE, BOB))
            _declare(twins, DeclarationKind.PLACEMENT, publisher, publisher=publisher)
        case 6:
            campaign = random.choice((CAMPAIGN, OTHER_CAMPAIGN, OTHER_CAMPAIGN))
            _declare(twins, DeclarationKind.CREATIVE, ADVERTISER, campaign=campaign, item=CREATIVE)
        case 7:
            # What was refused for want of an order can be made good from here on.
            rates = (random.randrange(3_000), 0, 1_001, 7)
            twins.chain(("OrderAccepted", [CAMPAIGN, 77], [rates, world.cap]))
        case _:
            _declare(
                twins,
                DeclarationKind.ALLOWED_PLACEMENT,
                ADVERTISER,
                campaign=CAMPAIGN,
                publisher=random.choice((ALICE, BOB)),
                item=random.choice((PLACEMENT, 8)),
            )


def _declare(twins: Twins, kind: DeclarationKind, member: int, **fields: Any) -> None:
    active = twins.random.random() < 0.6
    made = twins.world.declaration(kind, member, active=active, at_ms=twins.now_ms, **fields)
    twins.enter(made)


def step(twins: Twins) -> None:
    """Time passes, then something happens."""
    twins.now_ms += twins.random.choice((0, 1, 999, 30_000, 600_000, 20_000_000))
    match twins.random.randrange(6):
        case 0:
            change_facts(twins)
        case 1:
            twins.correct()
        case _:
            count = twins.random.choice((1, 3, 40))
            member = twins.random.choice((ALICE, ALICE, BOB, ADVERTISER, OPERATOR))
            twins.send([random_event(twins) for _ in range(count)], member)


worlds = st.builds(
    World,
    # Odd, free and wide prices: lines have fractions to floor, amounts over 64 bits.
    rates=st.builds(
        Rates,
        st.sampled_from([0, 1, 999, 1_001, 2_000_000, 2**80 - 1]),
        st.sampled_from([0, 1, 500_001]),
        st.sampled_from([0, 3, 250_000, 2**80 - 1]),
        st.sampled_from([0, 7, 10**20]),
    ),
    cap=st.sampled_from([1, 5, 1_000_000, 2**88 - 1]),
    funding=st.sampled_from([0, 7, 3_000_000, 2**64 + 5, 2**100]),
    cuts=st.sampled_from([(), (Cut(5, 10_000),), (Cut(5, 333), Cut(1, 1))]),
    holdback=st.sampled_from([0, 1_000]),
)
