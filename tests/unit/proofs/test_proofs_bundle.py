"""Bundles, true and tampered: what is shown, what is not, and that nothing else passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from scripts.chainless.evidence import (
    ATTESTOR_KEYS,
    MadeChain,
    Shape,
    claim_logs,
    made_lines,
    make_bundle,
    with_headers,
)
from scripts.chainless.facts import CHAIN_ID, ESCROW, EVENT_LOG

from adtally.errors import AdtallyError, VerificationFailed
from adtally.ethereum.block import EvmLog, LogProof
from adtally.events.signature import address_of
from adtally.proofs.bundle import Attestation, Bundle, LoggedEntry
from adtally.proofs.findings import Findings, Standing, Trust
from adtally.proofs.verify import blocks_of, verify_bundle
from adtally.types import Counts, Hash

ATTESTORS = [address_of(key) for key in ATTESTOR_KEYS]
BUNDLE, CHAIN = make_bundle(Shape())
OTHER, OTHER_CHAIN = make_bundle(Shape(seed=2, publisher=11, lines=4))
ELSEWHERE, _ = make_bundle(Shape(seed=3, campaign=2))


def trust(blocks: list[Hash] | None = None) -> Trust:
    """The deployment's, and the blocks of both worlds, since a chain may hold both."""
    known = [h.hash for bundle in (BUNDLE, OTHER, ELSEWHERE) for h in blocks_of(bundle)]
    return Trust(
        CHAIN_ID, EVENT_LOG, ESCROW, ATTESTORS, known if blocks is None else blocks, "a test"
    )


def standings(found: Findings) -> dict[str, Standing]:
    return {line.topic: line.standing for line in found.lines}


def test_verify__true_bundle__all_shown_and_what_rests_on_attestors_said() -> None:
    found = verify_bundle(Bundle.from_bytes(BUNDLE.to_bytes()), trust())
    assert found.is_complete
    said = standings(found)
    for topic in (
        "deployment", "batch", "log", "verdict", "line", "attestors", "price", "payment", "chain",
    ):  # fmt: skip
        assert said[topic] is Standing.SHOWN, topic
    assert said["counted"] is said["rule"] is Standing.RESTS_ON


def test_verify__nobody_says_which_blocks__not_complete() -> None:
    found = verify_bundle(BUNDLE, Trust(CHAIN_ID, EVENT_LOG, ESCROW, ATTESTORS))
    assert standings(found)["chain"] is Standing.NOT_SHOWN
    assert not found.is_complete


def test_verify__no_deployment_file__scope_is_for_the_reader_to_compare() -> None:
    found = verify_bundle(BUNDLE, Trust(blocks=[h.hash for h in blocks_of(BUNDLE)]))
    assert standings(found)["deployment"] is Standing.NOT_SHOWN


def test_verify__one_trusted_block_and_headers__enough() -> None:
    linked = Bundle.from_bytes(with_headers(BUNDLE, CHAIN).to_bytes())
    newest = blocks_of(BUNDLE)[-1].hash
    assert verify_bundle(linked, trust([newest])).is_complete
    with pytest.raises(VerificationFailed, match="not one that you trust"):
        verify_bundle(BUNDLE, trust([newest]))


def test_verify__trusted_block_is_the_oldest__does_not_reach_up() -> None:
    linked = with_headers(BUNDLE, CHAIN)
    with pytest.raises(VerificationFailed, match="not one that you trust"):
        verify_bundle(linked, trust([blocks_of(BUNDLE)[0].hash]))


def test_verify__headers_of_another_chain__refused() -> None:
    linked = replace(BUNDLE, headers=with_headers(OTHER, OTHER_CHAIN).headers)
    with pytest.raises(VerificationFailed, match="lead elsewhere"):
        verify_bundle(linked, trust())
    headers = with_headers(BUNDLE, CHAIN).headers
    with pytest.raises(VerificationFailed, match="follow"):
        verify_bundle(replace(BUNDLE, headers=headers[::-1]), trust())


@pytest.mark.parametrize(
    "other",
    [
        Trust(CHAIN_ID + 1, EVENT_LOG, ESCROW),
        Trust(CHAIN_ID, ESCROW, ESCROW),
        Trust(CHAIN_ID, EVENT_LOG, EVENT_LOG),
    ],
)
def test_verify__bundle_of_another_deployment__refused(other: Trust) -> None:
    with pytest.raises(VerificationFailed, match="another deployment"):
        verify_bundle(BUNDLE, other)


def line_of(bundle: Bundle, **changed: object) -> Bundle:
    assert bundle.line is not None
    return replace(bundle, line=replace(bundle.line, **changed))


ATTACKS: dict[str, Callable[[], Bundle]] = {
    "log of another scope": lambda: replace(
        BUNDLE, scope=replace(BUNDLE.scope, event_log=b"\x77" * 20)
    ),
    "another record": lambda: replace(BUNDLE, record=OTHER.record),
    "verdict changed": lambda: replace(
        BUNDLE, record=BUNDLE.record[:3] + b"\x02" + BUNDLE.record[4:]
    ),
    "envelope of another batch": lambda: replace(BUNDLE, envelope=OTHER.envelope),
    "record at another index": lambda: replace(BUNDLE, index=BUNDLE.index + 1),
    "batch elsewhere": lambda: replace(
        BUNDLE, index=BUNDLE.index + 1, first_index=BUNDLE.first_index + 1
    ),
    "anchor of another log": lambda: replace(BUNDLE, anchored=OTHER.anchored),
    "anchor is a statement": lambda: replace(BUNDLE, anchored=_settled(BUNDLE)),
    "path of another log": lambda: replace(BUNDLE, log_proof=OTHER.log_proof),
    "fact that the log does not hold": lambda: replace(
        BUNDLE, cited=(LoggedEntry(5, b"\x05invented"),)
    ),
    "another publisher's line": lambda: replace(BUNDLE, line=OTHER.line),
    "statement of another campaign": lambda: replace(BUNDLE, line=ELSEWHERE.line),
    "counts with one more": lambda: line_of(
        BUNDLE, counts=replace(_counts(BUNDLE), clicks=_counts(BUNDLE).clicks + 1)
    ),
    "signature of nobody": lambda: line_of(
        BUNDLE, attestations=_attestations(OTHER)[:1] + _attestations(BUNDLE)[1:]
    ),
    "signature twice": lambda: line_of(BUNDLE, attestations=_attestations(BUNDLE)[:1] * 2),
    "order of another publisher": lambda: replace(BUNDLE, order=OTHER.order),
    "order of another campaign": lambda: replace(BUNDLE, order=ELSEWHERE.order),
    "order is a payment": lambda: replace(BUNDLE, order=BUNDLE.paid),
    "payment of another campaign": lambda: replace(BUNDLE, paid=ELSEWHERE.paid),
    "payment of another publisher": lambda: replace(BUNDLE, paid=OTHER.paid),
    "payment is another log": lambda: replace(BUNDLE, paid=_other_log(BUNDLE)),
    "payment without a line": lambda: replace(BUNDLE, line=None, order=None),
    "order without a line": lambda: replace(BUNDLE, line=None, paid=None),
}


def _settled(bundle: Bundle) -> LogProof:
    assert bundle.line is not None
    return bundle.line.settled


def _counts(bundle: Bundle) -> Counts:
    assert bundle.line is not None
    return bundle.line.counts


def _attestations(bundle: Bundle) -> tuple[Attestation, ...]:
    assert bundle.line is not None
    return bundle.line.attestations


def _other_log(bundle: Bundle) -> LogProof:
    assert bundle.paid is not None
    return replace(bundle.paid, log=0)


@pytest.mark.parametrize("name", ATTACKS)
def test_verify__parts_swapped__refused(name: str) -> None:
    bundle = ATTACKS[name]()
    with pytest.raises(AdtallyError):
        verify_bundle(Bundle.from_bytes(bundle.to_bytes()), trust())


def said_by_another_contract(proof: LogProof) -> LogProof:
    """The same words in a block that is trusted, from an address that anyone may deploy at."""
    _, log = proof.verify()
    chain = MadeChain(7)
    chain.number = 200
    return chain.add([EvmLog(b"\x66" * 20, log.topics, log.data)], 0)


@pytest.mark.parametrize("part", ["anchored", "settled", "order", "paid"])
def test_verify__another_contract_says_so__refused(part: str) -> None:
    if part == "settled":
        bundle = line_of(BUNDLE, settled=said_by_another_contract(_settled(BUNDLE)))
    else:
        bundle = replace(BUNDLE, **{part: said_by_another_contract(getattr(BUNDLE, part))})
    with pytest.raises(VerificationFailed, match="another contract"):
        verify_bundle(bundle, trust_also(bundle))


def test_verify__statement_of_another_campaign__named_as_that() -> None:
    with pytest.raises(VerificationFailed, match="statement is of another campaign"):
        verify_bundle(ATTACKS["statement of another campaign"](), trust())


def test_verify__anchor_older_than_the_record__refused() -> None:
    stale, _ = make_bundle(Shape(tree_size=900, first_index=700, seed=1))
    with pytest.raises(AdtallyError):
        verify_bundle(replace(BUNDLE, anchored=stale.anchored), trust_also(stale))


def test_verify__statement_over_less_than_the_record__refused() -> None:
    early, _ = make_bundle(Shape(tree_size=900, first_index=700))
    with pytest.raises(VerificationFailed, match="between the record and the anchor"):
        verify_bundle(replace(BUNDLE, line=early.line), trust_also(early))


def test_verify__statement_over_more_than_the_anchor__refused() -> None:
    late, _ = make_bundle(Shape(tree_size=6_000))
    with pytest.raises(VerificationFailed, match="between the record and the anchor"):
        verify_bundle(replace(BUNDLE, line=late.line), trust_also(late))


def trust_also(bundle: Bundle) -> Trust:
    return trust([h.hash for each in (BUNDLE, bundle) for h in blocks_of(each)])


def test_verify__payment_from_before_the_statement__refused() -> None:
    paid = MadeChain(1).add(claim_logs(Shape(), made_lines(Shape())[:1]), 1)
    bundle = replace(BUNDLE, paid=paid)
    with pytest.raises(VerificationFailed, match="before the statement"):
        verify_bundle(bundle, trust([h.hash for h in blocks_of(bundle)]))


def test_verify__attestor_that_the_deployment_does_not_name__said() -> None:
    one = Trust(
        CHAIN_ID, EVENT_LOG, ESCROW, ATTESTORS[1:], [h.hash for h in blocks_of(BUNDLE)], "a test"
    )
    found = verify_bundle(BUNDLE, one)
    assert standings(found)["attestors"] is Standing.NOT_SHOWN


@pytest.mark.slow
@pytest.mark.parametrize("of_byte", range(8))
def test_verify__every_bit_of_the_file_flipped__fails_or_is_another_finding(of_byte: int) -> None:
    small = with_headers(*make_bundle(Shape(batch=2, position=1, lines=2, paid_together=1)))
    blocks = trust([blocks_of(small)[-1].hash])
    data = small.to_bytes()
    said = verify_bundle(Bundle.from_bytes(data), blocks).lines
    passed = []
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << of_byte
        try:
            found = verify_bundle(Bundle.from_bytes(bytes(changed)), blocks).lines
        except AdtallyError:
            continue
        if found == said:
            passed.append(at)
    assert passed == []


def test_bundle__at_a_thousand_million_leaves__below_five_thousand_bytes() -> None:
    shape = Shape(10**9, 712_345_678, batch=1_000, position=412, lines=1_000, paid_together=1)
    bundle, _ = make_bundle(shape)
    assert len(bundle.to_bytes()) < 5_000
    assert verify_bundle(bundle, trust([h.hash for h in blocks_of(bundle)])).is_complete
