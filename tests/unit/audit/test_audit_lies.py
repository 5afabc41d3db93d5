"""Every lie is found and named: by its check, its place, what was expected and what was found.

The strongest liars sign and anchor their lies again, as an operator would who has the attestors
on its side; then only the replay, the chain's own facts and the books can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from adtally.audit.report import AuditReport, Discrepancy
from adtally.events.facts import ChainFacts
from adtally.events.record import RECORD_KIND, VERDICT_OFFSET
from adtally.events.verdict import Verdict
from adtally.log.checkpoint import NoteSigner, sign_checkpoint
from adtally.types import Checkpoint, Counts, Line
from support.audit_scene import (
    LAST_BLOCK,
    SIGNER,
    Scene,
    block_hash,
    honest_scene,
    payout_of,
)
from support.world import AGENCY, ALICE, BOB, CAMPAIGN, FINAL_FROM, encoded_log


@pytest.fixture
def scene() -> Scene:
    return honest_scene()


def found(report: AuditReport, check: str) -> list[Discrepancy]:
    """The discrepancies of one check; the report as a whole must say so too."""
    assert not report.ok
    mine = [each for each in report.discrepancies if each.check == check]
    failed = {each.name for each in report.checks if not each.ok}
    assert failed == {each.check for each in report.discrepancies}
    assert mine, [str(each) for each in report.discrepancies]
    assert all(each.what and each.where and each.expected != each.found for each in mine)
    return mine


def first_record(scene: Scene) -> int:
    return next(at for at, entry in enumerate(scene.log.served) if entry[0] == RECORD_KIND)


def reseal(scene: Scene) -> None:
    """Sign and anchor what is served now."""
    scene.sign()
    scene.anchor_again()


def change_byte(scene: Scene, index: int, offset: int, value: int) -> None:
    entry = scene.log.served[index]
    scene.log.served[index] = entry[:offset] + bytes((value,)) + entry[offset + 1 :]


# Entries ---------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_audit__rewritten_entry__contradicts_checkpoint_and_anchors(scene: Scene) -> None:
    change_byte(scene, first_record(scene), 70, 0xEE)
    report = await scene.audit()
    assert "root hash" in found(report, "checkpoint")[0].what
    assert len(found(report, "anchors")) == 2
    assert found(report, "replay")


@pytest.mark.asyncio
async def test_audit__rewritten_entry_signed_again__contradicts_the_anchors(scene: Scene) -> None:
    change_byte(scene, first_record(scene), 70, 0xEE)
    scene.sign()
    report = await scene.audit()
    assert "anchor 1" in found(report, "anchors")[0].where
    assert {each.name for each in report.checks if not each.ok} >= {"anchors", "replay"}


@pytest.mark.asyncio
async def test_audit__rewritten_entry_anchored_again__breaks_a_signature(scene: Scene) -> None:
    change_byte(scene, first_record(scene), 70, 0xEE)
    reseal(scene)
    (lie,) = found(await scene.audit(), "replay")
    assert "signature" in lie.what


@pytest.mark.asyncio
async def test_audit__changed_verdict_anchored_again__named_with_its_index(scene: Scene) -> None:
    index = first_record(scene)
    assert scene.log.served[index][VERDICT_OFFSET] == Verdict.ACCEPTED
    change_byte(scene, index, VERDICT_OFFSET, Verdict.KNOWN_BOT)
    reseal(scene)
    (lie,) = found(await scene.audit(), "replay")
    assert f"verdict of the record at index {index} is wrong" in lie.what
    assert (lie.expected, lie.found) == ("accepted", "known_bot")


@pytest.mark.asyncio
async def test_audit__duplicate_accepted_and_anchored_again__found(scene: Scene) -> None:
    index = next(
        at
        for at, entry in enumerate(scene.log.served)
        if entry[0] == RECORD_KIND and entry[VERDICT_OFFSET] == Verdict.DUPLICATE
    )
    change_byte(scene, index, VERDICT_OFFSET, Verdict.ACCEPTED)
    reseal(scene)
    (lie,) = found(await scene.audit(), "replay")
    assert (lie.expected, lie.found) == ("duplicate", "accepted")


@pytest.mark.asyncio
async def test_audit__dropped_entry__the_log_is_too_short(scene: Scene) -> None:
    del scene.log.served[first_record(scene)]
    report = await scene.audit()
    assert found(report, "entries")
    assert "shorter" in found(report, "checkpoint")[0].what


@pytest.mark.asyncio
async def test_audit__dropped_entry_signed_again__contradicts_the_anchors(scene: Scene) -> None:
    del scene.log.served[first_record(scene)]
    scene.sign()
    assert found(await scene.audit(), "anchors")


@pytest.mark.asyncio
async def test_audit__dropped_batch_anchored_again__breaks_the_sequence(scene: Scene) -> None:
    start = first_record(scene) - 1
    count = int.from_bytes(scene.log.served[start][14:18], "big")
    del scene.log.served[start : start + 1 + count]
    scene.anchors = {block: size - 1 - count for block, size in scene.anchors.items()}
    reseal(scene)
    report = await scene.audit()
    assert "sequence" in found(report, "replay")[0].what
    assert found(report, "statements")


@pytest.mark.asyncio
async def test_audit__reordered_batches__found(scene: Scene) -> None:
    starts = [at for at, entry in enumerate(scene.log.served) if entry[0] == 0x02]
    one, two, three = starts[0], starts[1], starts[1] + 7
    assert scene.log.served[three][0] == 0x03
    served = scene.log.served
    scene.log.served = served[:one] + served[two:three] + served[one:two] + served[three:]
    reseal(scene)
    (lie,) = found(await scene.audit(), "replay")
    assert "received-at falls" in lie.what


@pytest.mark.asyncio
async def test_audit__log_that_ends_inside_a_batch__found(scene: Scene) -> None:
    starts = [at for at, entry in enumerate(scene.log.served) if entry[0] == 0x02]
    scene.log.served += scene.log.served[starts[0] : starts[0] + 2]
    scene.sign()
    assert found(await scene.audit(), "replay")


@pytest.mark.asyncio
async def test_audit__server_sends_more_than_asked__found(scene: Scene) -> None:
    class Talker(type(scene.log)):  # type: ignore[misc]
        async def entries(self, start: int, end: int) -> list[bytes]:
            return [*self.served[start:end], b"\x06" + bytes(6)]

    scene.log = Talker(scene.log.served, scene.log.note, scene.log.statements)
    assert found(await scene.audit(), "entries")


# Checkpoints and anchors -----------------------------------------------------------------------


@pytest.mark.asyncio
async def test_audit__forked_checkpoint__found(scene: Scene) -> None:
    checkpoint = Checkpoint(len(scene.log.served), b"\x13" * 32)
    scene.log.note = sign_checkpoint(SIGNER, checkpoint)
    (lie,) = found(await scene.audit(), "checkpoint")
    assert lie.found == "0x" + "13" * 32


@pytest.mark.asyncio
async def test_audit__stale_checkpoint__shorter_than_an_anchor(scene: Scene) -> None:
    scene.sign(size=min(scene.anchors.values()))
    report = await scene.audit()
    assert "shorter than was promised" in found(report, "anchors")[0].what


@pytest.mark.asyncio
async def test_audit__checkpoint_by_another_key__found(scene: Scene) -> None:
    scene.sign(NoteSigner(SIGNER.name, b"\x0a" * 32))
    assert found(await scene.audit(), "checkpoint")


@pytest.mark.asyncio
async def test_audit__checkpoint_of_another_log__found(scene: Scene) -> None:
    other = NoteSigner("adtally/1/0x00", b"\x09" * 32)
    scene.sign(other)
    assert found(await scene.audit(), "checkpoint")


@pytest.mark.asyncio
async def test_audit__garbage_for_a_checkpoint__found(scene: Scene) -> None:
    scene.log.note = b"<html>maintenance</html>"
    assert found(await scene.audit(), "checkpoint")


@pytest.mark.asyncio
async def test_audit__anchor_of_another_log__found(scene: Scene) -> None:
    block, size = min(scene.anchors.items())
    scene.chain.take_back(block)
    scene.chain.emit(block, "Anchored", [size], [b"\x14" * 32, 1])
    (lie,) = found(await scene.audit(), "anchors")
    assert (lie.what, lie.found) == (f"root hash at tree size {size}", "0x" + "14" * 32)
    assert "anchor 1" in lie.where


@pytest.mark.asyncio
async def test_audit__anchor_inside_a_batch__found(scene: Scene) -> None:
    block, size = min(scene.anchors.items())
    scene.anchors[block] = size - 1
    scene.anchor_again()
    assert any("inside a batch" in each.what for each in found(await scene.audit(), "anchors"))


@pytest.mark.asyncio
async def test_audit__anchors_that_shrink_or_skip_a_number__found(scene: Scene) -> None:
    size = min(scene.anchors.values())
    scene.chain.emit(88, "Anchored", [size], [scene.root(size), 7])
    lies = found(await scene.audit(), "anchors")
    assert {each.what for each in lies} == {"anchor number", "anchored size"}


# Facts -----------------------------------------------------------------------------------------


def edit_facts(scene: Scene, at: int, change: Callable[[ChainFacts], ChainFacts]) -> None:
    """Rewrite the chain facts number ``at`` and seal the log again."""
    indices = [index for index, entry in enumerate(scene.log.served) if entry[0] == 0x03]
    entry = ChainFacts.from_entry(scene.log.served[indices[at]])
    scene.log.served[indices[at]] = change(entry).to_entry()
    reseal(scene)


@pytest.mark.asyncio
async def test_audit__facts_with_another_funding__contradict_the_chain(scene: Scene) -> None:
    def richer(facts: ChainFacts) -> ChainFacts:
        logs = list(facts.logs)
        at = next(at for at, log in enumerate(logs) if log.block_number == 11)
        logs[at] = encoded_log("Funded", [CAMPAIGN, bytes(20)], [2 * 10**12] * 2, 11, 0)
        return replace(facts, logs=tuple(logs))

    edit_facts(scene, 0, richer)
    (lie,) = found(await scene.audit(), "facts")
    assert "block 11" in lie.what


@pytest.mark.asyncio
async def test_audit__facts_that_leave_out_a_log__contradict_the_chain(scene: Scene) -> None:
    scene.chain.add(
        45,
        b"\x44" * 20,
        encoded_log("RolesChanged", [ALICE], [0], 45, 0).topics,
        encoded_log("RolesChanged", [ALICE], [0], 45, 0).data,
    )
    (lie,) = found(await scene.audit(), "facts")
    assert "number of logs in blocks 41 to 60" in lie.what


@pytest.mark.asyncio
async def test_audit__facts_with_another_block_hash__contradict_the_chain(scene: Scene) -> None:
    edit_facts(scene, 1, lambda facts: replace(facts, last_block_hash=b"\x15" * 32))
    (lie,) = found(await scene.audit(), "facts")
    assert "hash of block 60" in lie.what
    assert lie.expected == block_hash(60).hex()


@pytest.mark.asyncio
async def test_audit__facts_with_another_block_time__contradict_the_chain(scene: Scene) -> None:
    edit_facts(scene, 1, lambda facts: replace(facts, last_block_timestamp_seconds=1))
    assert "timestamp of block 60" in found(await scene.audit(), "facts")[0].what


@pytest.mark.asyncio
async def test_audit__facts_that_skip_blocks__found(scene: Scene) -> None:
    edit_facts(scene, 1, lambda facts: replace(facts, first_block=43))
    report = await scene.audit()
    assert found(report, "facts")[0].what == "first block of the range"
    assert found(report, "replay")


@pytest.mark.asyncio
async def test_audit__facts_that_start_after_the_deployment__found(scene: Scene) -> None:
    edit_facts(
        scene,
        0,
        lambda facts: replace(
            facts, first_block=2, logs=tuple(log for log in facts.logs if log.block_number > 1)
        ),
    )
    assert found(await scene.audit(), "facts")[0].expected == "1"


@pytest.mark.asyncio
async def test_audit__facts_before_finality__found(scene: Scene) -> None:
    last_ms = (FINAL_FROM + 2) * 1000
    facts = ChainFacts(last_ms, 61, LAST_BLOCK + 5, b"\x16" * 32, 0, ())
    scene.log.served.append(facts.to_entry())
    scene.sign()
    assert found(await scene.audit(), "facts")[0].what == "facts before finality"


# Statements ------------------------------------------------------------------------------------


def resubmit(scene: Scene, at: int, **changes: object) -> None:
    """Put another statement on chain in place of the honest one number ``at``."""
    block = (54, 81)[at]
    scene.chain.take_back(block)
    scene.submit(block, replace(scene.stated[at][0], **changes))  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_audit__statement_one_unit_too_much__found_to_the_unit(scene: Scene) -> None:
    right = scene.stated[0][0].lines_total_base_units
    resubmit(scene, 0, lines_total_base_units=right + 1)
    (lie,) = found(await scene.audit(), "statements")
    assert lie.what == "lines_total_base_units"
    assert (lie.expected, lie.found) == (str(right), str(right + 1))
    assert f"campaign {CAMPAIGN} statement 1" in lie.where


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("field", "value"),
    [("lines_root", b"\x17" * 32), ("counts", Counts(9, 9, 9, 9)), ("is_final", True)],
)
async def test_audit__statement_with_another_field__found(
    scene: Scene, field: str, value: object
) -> None:
    resubmit(scene, 0, **{field: value})
    lies = found(await scene.audit(), "statements")
    assert any(each.what in (field, "final too early") for each in lies)


@pytest.mark.asyncio
async def test_audit__statement_at_another_size__found(scene: Scene) -> None:
    resubmit(scene, 1, tree_size=scene.stated[0][0].tree_size)
    assert found(await scene.audit(), "statements")


@pytest.mark.asyncio
async def test_audit__statement_over_entries_not_anchored__found(scene: Scene) -> None:
    resubmit(scene, 0, tree_size=scene.stated[1][0].tree_size)
    assert "tree size" in {each.what for each in found(await scene.audit(), "statements")}


@pytest.mark.asyncio
async def test_audit__statement_over_entries_that_do_not_exist__found(scene: Scene) -> None:
    resubmit(scene, 1, tree_size=10**6)
    lies = found(await scene.audit(), "statements")
    assert "the statement can't be recomputed" in {each.what for each in lies}


@pytest.mark.asyncio
async def test_audit__statement_out_of_sequence__found(scene: Scene) -> None:
    resubmit(scene, 1, sequence=4)
    assert "sequence" in {each.what for each in found(await scene.audit(), "statements")}


@pytest.mark.asyncio
async def test_audit__statement_that_activates_at_once_despite_its_terms__found(
    scene: Scene,
) -> None:
    log = scene.chain.take_back(54)[0]
    early = scene.chain.time(54) - 1
    data = log.data[:-32] + early.to_bytes(32, "big")
    scene.chain.add(54, log.address, log.topics, data)
    (lie,) = found(await scene.audit(), "statements")
    assert lie.what == "activation time"


@pytest.mark.asyncio
async def test_audit__statement_after_the_final_one__found(scene: Scene) -> None:
    scene.submit(87, replace(scene.stated[1][0], sequence=3))
    assert any(
        "no statement after" in each.expected for each in found(await scene.audit(), "statements")
    )


@pytest.mark.asyncio
async def test_audit__line_moved_between_publishers__found(scene: Scene) -> None:
    statement, lines = scene.stated[0]
    moved = [replace(line, publisher=ALICE + BOB - line.publisher) for line in lines]
    scene.publish(statement, moved)
    lies = found(await scene.audit(), "lines")
    assert {each.what for each in lies} == {"line", "the line's proof does not prove it"}
    assert f"publisher {ALICE}" in lies[0].where + lies[2].where


@pytest.mark.asyncio
async def test_audit__published_line_missing__found(scene: Scene) -> None:
    scene.log.statements[CAMPAIGN, 1]["lines"].pop()
    assert found(await scene.audit(), "lines")[0].what == "publishers"


@pytest.mark.asyncio
@pytest.mark.parametrize("document", [{}, {"lines": 1}, {"lines": [{}]}, None, []])
async def test_audit__published_statement_malformed__found(
    scene: Scene, document: dict[str, object]
) -> None:
    scene.log.statements[CAMPAIGN, 1] = document
    assert "malformed" in found(await scene.audit(), "lines")[0].what


@pytest.mark.asyncio
async def test_audit__statement_not_published__found(scene: Scene) -> None:
    del scene.log.statements[CAMPAIGN, 2]
    assert found(await scene.audit(), "lines")


# Money -----------------------------------------------------------------------------------------


def line_of(scene: Scene, publisher: int, at: int = 0) -> Line:
    return next(line for line in scene.stated[at][1] if line.publisher == publisher)


@pytest.mark.asyncio
async def test_audit__claim_of_one_unit_more__found_to_the_unit(scene: Scene) -> None:
    gone = scene.chain.take_back(55)
    assert len(gone) == 2
    scene.claim(55, line_of(scene, ALICE), 0, more=1)
    scene.claim(55, line_of(scene, BOB), 0)
    lies = found(await scene.audit(), "claims")
    right = line_of(scene, ALICE).amount_base_units
    assert (lies[0].what, lies[0].expected, lies[0].found) == (
        "amount", str(right), str(right + 1),
    )  # fmt: skip
    assert f"publisher {ALICE}" in lies[0].where


@pytest.mark.asyncio
async def test_audit__claim_paid_twice__found_and_the_books_are_short(scene: Scene) -> None:
    scene.claim(86, line_of(scene, BOB, 1), 0)
    report = await scene.audit()
    assert found(report, "claims")[0].what == "amount"
    lies = found(report, "balances")
    assert lies[0].found == f"{line_of(scene, BOB, 1).amount_base_units} base units too much"


@pytest.mark.asyncio
async def test_audit__claim_to_another_address__found(scene: Scene) -> None:
    scene.chain.take_back(55)
    scene.claim(55, line_of(scene, ALICE), 0, to=b"\xbb" * 20)
    scene.claim(55, line_of(scene, BOB), 0)
    (lie,) = found(await scene.audit(), "claims")
    assert (lie.what, lie.found) == ("payout address", "0x" + "bb" * 20)
    assert lie.expected == "0x" + payout_of(ALICE).hex()


@pytest.mark.asyncio
async def test_audit__claims_under_another_root__are_not_in_the_statement(scene: Scene) -> None:
    scene.chain.take_back(54)
    scene.submit(54, replace(scene.stated[0][0], lines_root=b"\x17" * 32))
    whats = [each.what for each in found(await scene.audit(), "claims")]
    assert whats == ["the claimed line is not in the statement"] * 2


@pytest.mark.asyncio
async def test_audit__claim_before_any_statement__found(scene: Scene) -> None:
    scene.claim(52, line_of(scene, ALICE), 0)
    lies = found(await scene.audit(), "claims")
    assert lies[0].what == "payment without ground"


@pytest.mark.asyncio
async def test_audit__claim_by_a_publisher_without_a_line__found(scene: Scene) -> None:
    scene.claim(86, replace(line_of(scene, ALICE), publisher=AGENCY), 0)
    assert found(await scene.audit(), "claims")[0].what == "payment without ground"


@pytest.mark.asyncio
async def test_audit__cut_of_one_unit_more__found(scene: Scene) -> None:
    gone = scene.chain.take_back(56)
    total = scene.stated[0][0].lines_total_base_units
    scene.pay_cut(56, AGENCY, total * 500 // 10_000 + 1, 0)
    second = gone[1]
    scene.chain.add(56, second.address, second.topics, second.data)
    lies = found(await scene.audit(), "cuts")
    assert lies[0].what == "amount"
    assert f"member {AGENCY}" in lies[0].where


@pytest.mark.asyncio
async def test_audit__cut_to_a_member_without_one__found(scene: Scene) -> None:
    scene.pay_cut(86, BOB, 5, 0)
    report = await scene.audit()
    assert found(report, "cuts")[0].what == "payment without ground"
    assert found(report, "balances")[0].found == "5 base units too much"


@pytest.mark.asyncio
async def test_audit__refund_of_reserved_money__found(scene: Scene) -> None:
    scene.chain.emit(86, "Refunded", [CAMPAIGN], [payout_of(2), 3, 10**12])
    lies = found(await scene.audit(), "refunds")
    assert (lies[0].what, lies[0].expected, lies[0].found) == ("amount", "0", "3")


@pytest.mark.asyncio
async def test_audit__refund_to_another_address__found(scene: Scene) -> None:
    (log,) = scene.chain.take_back(85)
    data = b"\xcc" * 20
    scene.chain.add(85, log.address, log.topics, bytes(12) + data + log.data[32:])
    assert found(await scene.audit(), "refunds")[0].what == "payout address"


@pytest.mark.asyncio
async def test_audit__refund_before_the_end__found(scene: Scene) -> None:
    scene.chain.take_back(85)
    statement = scene.stated[0][0].lines_total_base_units
    reserved = statement + statement * 500 // 10_000 + statement * 250 // 10_000
    rest = 10**12 - reserved
    scene.chain.emit(58, "Refunded", [CAMPAIGN], [payout_of(2), rest, rest])
    assert "refund too early" in {each.what for each in found(await scene.audit(), "refunds")}


@pytest.mark.asyncio
async def test_audit__deposit_booked_wrongly__found(scene: Scene) -> None:
    scene.chain.emit(70, "Funded", [CAMPAIGN, b"\1" * 20], [5, 10**12 + 4])
    scene.chain.balance = 5
    (lie,) = found(await scene.audit(), "funding")
    assert (lie.expected, lie.found) == (str(10**12 + 5), str(10**12 + 4))


@pytest.mark.asyncio
async def test_audit__escrow_holds_less_than_it_owes__found(scene: Scene) -> None:
    scene.chain.take_back(85)
    scene.chain.balance = 1
    assert found(await scene.audit(), "balances")[0].what == "balance"


# The chain itself ------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_audit__log_of_a_block_that_is_not_on_the_chain__found(scene: Scene) -> None:
    log = scene.chain.take_back(55)[0]
    scene.chain.logs_.append(replace(log, block_hash=b"\x18" * 32))
    assert found(await scene.audit(), "chain")[0].what == "block of a log"


@pytest.mark.asyncio
async def test_audit__event_that_does_not_decode__found(scene: Scene) -> None:
    log = scene.chain.take_back(55)[0]
    scene.chain.add(55, log.address, log.topics, log.data[:-1])
    assert "does not decode" in found(await scene.audit(), "chain")[0].what


@pytest.mark.asyncio
async def test_audit__event_of_a_campaign_never_opened__found(scene: Scene) -> None:
    scene.chain.emit(70, "Funded", [77, b"\1" * 20], [5, 5])
    assert found(await scene.audit(), "chain")[0].what == "unknown campaign"
