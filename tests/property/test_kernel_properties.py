"""The compiled engine and the plain reference agree, bit for bit, whatever is sent to them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adtally.errors import AdtallyError, InvalidInput
from adtally.events.batch import SignedBatch
from adtally.events.correction import Correction, CorrectionReason
from adtally.events.facts import ChainFacts, DeclarationKind, RulesFacts
from adtally.events.record import (
    NO_PARENT,
    RECORD_SIZE,
    AdEvent,
    EventType,
    NetworkClass,
    UserAgentClass,
    new_event_id,
    set_verdict,
)
from adtally.events.signature import address_of
from adtally.events.verdict import Verdict
from adtally.kernel.engine import KernelEngine
from adtally.kernel.event_ids import BLOCK_BYTES
from adtally.kernel.facts_table import highest_payable
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.engine import PlainEngine
from adtally.settlement.machine import LogMachine, batch_entries
from adtally.settlement.rates import reserve_base_units
from adtally.types import UINT64_MAX, Cut, Rates, Role
from adtally.verification.rule_set import RuleSet
from support.world import (
    ADVERTISER,
    ALICE,
    BOB,
    CAMPAIGN,
    CHAIN_ID,
    CREATIVE,
    ESCROW_DOMAIN,
    FLIGHT_END,
    FLIGHT_START,
    IDENTITY,
    LATE_WINDOW,
    PLACEMENT,
    World,
    encoded_log,
    key_of,
)

OTHER_CAMPAIGN = 2
MINUTE_MS = 60_000
CHECK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


class Twins:
    """One log, judged by both engines at once; every step compares them."""

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random
        self.tree = MerkleTree()
        self.plain, self.fast = (
            LogMachine(
                IDENTITY, ESCROW_DOMAIN, verify_signatures=False, leaves=self.tree, engine=engine
            )
            for engine in (PlainEngine, KernelEngine)
        )
        self.now_ms = FLIGHT_START * 1000
        self.block = 40
        self.sent: list[AdEvent] = []
        self.records: dict[int, bytes] = {}
        for facts in world.facts():
            self.enter(facts)

    def enter(self, facts: Any) -> None:
        outcomes = [_outcome(machine.apply_facts, facts) for machine in (self.plain, self.fast)]
        assert outcomes[0] == outcomes[1]
        if outcomes[0] is None:
            self.tree.append([leaf_hash(facts.to_entry())])
        self.compare()

    def chain(self, *logs: tuple[str, list[Any], list[Any]]) -> None:
        self.block += 1
        made = tuple(encoded_log(*log, self.block, at) for at, log in enumerate(logs))
        block = self.block
        self.enter(ChainFacts(self.now_ms, block, block, b"\x02" * 32, self.now_ms // 1000, made))

    def send(self, events: list[AdEvent], member: int) -> None:
        records = tuple(event.to_record() for event in events)
        sequence = self.plain.next_sequence(member)
        signer = address_of(key_of(member))
        batch = SignedBatch(CHAIN_ID, member, sequence, signer, bytes(65), records)
        verdicts = self.plain.judge_batch(batch, self.now_ms)
        assert self.fast.judge_batch(batch, self.now_ms) == verdicts
        entries = batch_entries(batch, self.now_ms, verdicts)
        for at, entry in enumerate(entries[1:], self.tree.size + 1):
            self.records[at] = entry
        self.tree.append([leaf_hash(entry) for entry in entries])
        self.sent += events
        self.compare()

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


def _outcome(call: Any, *arguments: Any) -> str | None:
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
        campaign=_mostly(random, CAMPAIGN, OTHER_CAMPAIGN, 99),
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
            _declare(twins, DeclarationKind.CREATIVE, ADVERTISER, campaign=CAMPAIGN, item=CREATIVE)
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


@CHECK
@given(world=worlds, seed=st.integers(0, 2**32))
def test_kernel__any_traffic__agrees_with_the_reference(world: World, seed: int) -> None:
    twins = Twins(world, Random(seed))
    for _ in range(twins.random.randrange(5, 40)):
        twins.now_ms += twins.random.choice((0, 1, 999, 30_000, 600_000, 20_000_000))
        match twins.random.randrange(6):
            case 0:
                change_facts(twins)
            case 1:
                twins.correct()
            case _:
                count = twins.random.choice((1, 3, 40))
                member = twins.random.choice((ALICE, ALICE, BOB, ADVERTISER))
                twins.send([random_event(twins) for _ in range(count)], member)


def test_kernel__a_day_of_one_campaign__gives_most_verdicts() -> None:
    """So that the property above is about something."""
    twins = Twins(World(cap=9_000_000_000, funding=12_000_000_000), Random(5))
    seen: set[Verdict] = set()
    while twins.now_ms < (FLIGHT_END + LATE_WINDOW) * 1000 + MINUTE_MS:
        twins.now_ms += 2_000_000
        for member in (ALICE, BOB, ADVERTISER):
            twins.send([random_event(twins) for _ in range(150)], member)
        seen |= {Verdict(record[3]) for record in twins.records.values()}
    assert seen >= set(Verdict) - {
        Verdict.UNSET,
        Verdict.ORDER_ENDED,
        Verdict.FLIGHT_NOT_STARTED,
        Verdict.ORDER_CAP_REACHED,
        Verdict.BUDGET_EXHAUSTED,
    }


@CHECK
@given(funded=st.integers(0, 2**128 - 1), shares=st.lists(st.integers(1, 2_500), max_size=4))
def test_highest_payable__any_funding__is_the_last_that_fits(
    funded: int, shares: list[int]
) -> None:
    cuts = tuple(Cut(9, share) for share in shares)
    highest = highest_payable(funded, cuts)
    assert reserve_base_units(highest, cuts) <= funded < reserve_base_units(highest + 1, cuts)


@settings(max_examples=400, deadline=None)
@given(
    at=st.integers(0, RECORD_SIZE - 1),
    value=st.integers(0, 255),
    kind=st.sampled_from(EventType),
    position=st.integers(0, 2),
)
def test_parse__any_byte_changed__refuses_what_the_reference_refuses(
    at: int, value: int, kind: EventType, position: int
) -> None:
    world = World()
    parent = NO_PARENT if kind is EventType.IMPRESSION else bytes(range(16))
    record = bytearray(world.event(kind, parent_id=parent).to_record())
    record[at] = value
    records = [world.event().to_record() for _ in range(3)]
    records[position] = bytes(record)
    plain, fast = (engine(World().machine().facts) for engine in (PlainEngine, KernelEngine))
    assert _outcome(plain.parse, records) == _outcome(fast.parse, records)


def test_parse__wrong_length_or_verdict__is_refused_as_by_the_reference() -> None:
    record = World().event().to_record()
    engine = KernelEngine(World().machine().facts)
    with pytest.raises(InvalidInput, match="fixed length"):
        engine.parse([record, record + b"\0"])
    judged = set_verdict(record, Verdict.ACCEPTED)
    assert _outcome(engine.parse, [judged]) == _outcome(PlainEngine(engine._facts).parse, [judged])


def test_kernel__events_older_than_any_rule_allows__are_forgotten() -> None:
    """Weeks of traffic take no more memory than a day of it, and verdicts stay the reference's."""
    rules = RuleSet(max_event_age_ms=MINUTE_MS, click_window_ms=1_000, conversion_window_ms=1_000)
    twins = Twins(World(rules=rules), Random(1))
    used = []
    for _ in range(60):
        twins.now_ms += 10 * MINUTE_MS
        twins.send([twins.world.event(occurred_at_ms=twins.now_ms) for _ in range(400)], ALICE)
        engine = twins.fast._engine
        assert isinstance(engine, KernelEngine)
        used.append(engine.ids.bytes_used)
    assert max(used) <= 2 * BLOCK_BYTES


def test_kernel__order_accepted_then_make_good__needs_no_batch_in_between() -> None:
    twins = Twins(World(), Random(1))
    twins.send([twins.world.event(occurred_at_ms=twins.now_ms, publisher=77)], ALICE)
    twins.chain(("OrderAccepted", [CAMPAIGN, 77], [(2_000_000, 0, 0, 0), 10**9]))
    (index, record), *_ = twins.records.items()
    assert record[3] == Verdict.SENDER_NOT_ALLOWED
    twins.enter(Correction(twins.now_ms, index, 1, CorrectionReason.MAKE_GOOD, record, ""))
    assert [line.publisher for line in twins.fast.accruals.lines(CAMPAIGN)] == [77]
