"""Digests and signatures against eth_account, for random values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.errors import AdtallyError, VerificationFailed
from adtally.events import eip712
from adtally.events.signature import address_of, recover, sign
from adtally.types import (
    UINT32_MAX,
    UINT64_MAX,
    UINT128_MAX,
    Checkpoint,
    Counts,
    LogIdentity,
    Statement,
)

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
uint8s = st.integers(0, 255)
uint32s = st.integers(0, UINT32_MAX)
uint64s = st.integers(0, UINT64_MAX)
chain_ids = st.integers(1, 2**256 - 1)
addresses = st.binary(min_size=20, max_size=20)
hashes = st.binary(min_size=32, max_size=32)
private_keys = st.integers(1, CURVE_ORDER - 1).map(lambda key: key.to_bytes(32, "big"))


def reference(type_string: str, name: str, chain_id: int, contract: bytes, *values: Any) -> bytes:
    """The digest that eth_account computes."""
    primary, _, members = type_string.rstrip(")").partition("(")
    fields = [member.split(" ") for member in members.split(",")]
    signable = encode_typed_data(
        domain_data={
            "name": name,
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": "0x" + contract.hex(),
        },
        message_types={primary: [{"type": kind, "name": field} for kind, field in fields]},
        message_data={
            field: "0x" + value.hex() if isinstance(value, bytes) else value
            for (_, field), value in zip(fields, values, strict=True)
        },
    )
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


@given(chain_ids, addresses, addresses, uint32s, uint64s, uint32s, hashes)
def test_event_batch_digest__random_values__equals_eth_account(
    chain_id: int, log: bytes, signer: bytes, member: int, sequence: int, count: int, root: bytes
) -> None:
    domain = eip712.log_domain(LogIdentity(chain_id, log))
    expected = reference(
        eip712.EVENT_BATCH_TYPE, eip712.LOG_DOMAIN_NAME, chain_id, log,
        signer, member, sequence, count, root,
    )  # fmt: skip
    assert eip712.event_batch_digest(domain, signer, member, sequence, count, root) == expected


@given(
    chain_ids,
    addresses,
    addresses,
    uint64s,
    st.integers(-128, 127),
    uint8s,
    st.text(st.characters(codec="utf-8"), max_size=60),
)
def test_correction_digest__random_values__equals_eth_account(
    chain_id: int, log: bytes, signer: bytes, index: int, change: int, reason: int, detail: str
) -> None:
    domain = eip712.log_domain(LogIdentity(chain_id, log))
    expected = reference(
        eip712.CORRECTION_TYPE, eip712.LOG_DOMAIN_NAME, chain_id, log,
        signer, index, change, reason, detail,
    )  # fmt: skip
    assert eip712.correction_digest(domain, signer, index, change, reason, detail) == expected


@given(
    chain_ids,
    addresses,
    addresses,
    st.tuples(uint8s, uint32s, uint32s, uint32s, uint32s, uint64s),
)
def test_collector_key_digest__random_values__equals_eth_account(
    chain_id: int, log: bytes, signer: bytes, fields: tuple[int, int, int, int, int, int]
) -> None:
    domain = eip712.log_domain(LogIdentity(chain_id, log))
    expected = reference(
        eip712.COLLECTOR_KEY_TYPE, eip712.LOG_DOMAIN_NAME, chain_id, log, signer, *fields
    )
    assert eip712.collector_key_digest(domain, signer, *fields) == expected


@given(chain_ids, addresses, addresses, hashes, uint64s)
def test_cosigner_key_digest__random_values__equals_eth_account(
    chain_id: int, log: bytes, attestor: bytes, public_key: bytes, at_ms: int
) -> None:
    domain = eip712.log_domain(LogIdentity(chain_id, log))
    fields = (attestor, public_key, at_ms)
    expected = reference(eip712.COSIGNER_KEY_TYPE, eip712.LOG_DOMAIN_NAME, chain_id, log, *fields)
    assert eip712.cosigner_key_digest(domain, *fields) == expected


@given(chain_ids, addresses, addresses, uint32s, uint64s)
def test_read_grant_digest__random_values__equals_eth_account(
    chain_id: int, log: bytes, signer: bytes, member: int, expires: int
) -> None:
    domain = eip712.log_domain(LogIdentity(chain_id, log))
    fields = (signer, member, expires)
    expected = reference(eip712.READ_GRANT_TYPE, eip712.LOG_DOMAIN_NAME, chain_id, log, *fields)
    assert eip712.read_grant_digest(domain, *fields) == expected


@given(
    chain_ids,
    addresses,
    st.builds(eip712.Receipt, uint32s, uint64s, hashes, uint64s, uint32s, uint64s, hashes, uint64s),
)
def test_receipt_digest__random_values__equals_eth_account(
    chain_id: int, log: bytes, receipt: eip712.Receipt
) -> None:
    domain = eip712.log_domain(LogIdentity(chain_id, log))
    expected = reference(
        eip712.RECEIPT_TYPE, eip712.LOG_DOMAIN_NAME, chain_id, log, *asdict(receipt).values()
    )
    assert eip712.receipt_digest(domain, receipt) == expected


@given(
    chain_ids, addresses, addresses, uint8s, st.booleans(),
    st.tuples(uint32s, uint32s, uint32s, uint32s), uint64s,
    st.text(st.characters(codec="utf-8"), max_size=80),
)  # fmt: skip
def test_declaration_digest__random_values__equals_eth_account(
    chain_id: int,
    log: bytes,
    signer: bytes,
    kind: int,
    active: bool,
    ids: tuple[int, int, int, int],
    at_ms: int,
    detail: str,
) -> None:
    domain = eip712.log_domain(LogIdentity(chain_id, log))
    values = (signer, kind, active, *ids, at_ms, detail)
    expected = reference(eip712.DECLARATION_TYPE, eip712.LOG_DOMAIN_NAME, chain_id, log, *values)
    assert eip712.declaration_digest(domain, *values) == expected


@given(chain_ids, addresses, uint64s, hashes)
def test_checkpoint_digest__random_values__equals_eth_account(
    chain_id: int, log: bytes, size: int, root: bytes
) -> None:
    domain = eip712.log_domain(LogIdentity(chain_id, log))
    expected = reference(eip712.CHECKPOINT_TYPE, eip712.LOG_DOMAIN_NAME, chain_id, log, size, root)
    assert eip712.checkpoint_digest(domain, Checkpoint(size, root)) == expected


@given(
    chain_ids,
    addresses,
    st.builds(
        Statement,
        uint32s,
        uint32s,
        uint64s,
        st.integers(0, UINT128_MAX),
        st.builds(Counts, uint64s, uint64s, uint64s, uint64s),
        uint64s,
        hashes,
        st.booleans(),
    ),
)
def test_statement_digest__random_values__equals_eth_account(
    chain_id: int, escrow: bytes, statement: Statement
) -> None:
    counts = statement.counts
    expected = reference(
        eip712.STATEMENT_TYPE, eip712.ESCROW_DOMAIN_NAME, chain_id, escrow,
        statement.campaign, statement.sequence, statement.tree_size,
        statement.lines_total_base_units, counts.impressions, counts.viewables, counts.clicks,
        counts.conversions, statement.corrections, statement.lines_root, statement.is_final,
    )  # fmt: skip
    domain = eip712.escrow_domain(chain_id, escrow)
    assert eip712.statement_digest(domain, statement) == expected


@given(chain_ids, addresses, uint32s, uint32s, uint8s, st.lists(addresses, max_size=5))
def test_successor_digest__random_values__equals_eth_account(
    chain_id: int, log: bytes, set_id: int, version: int, k: int, attestors: list[bytes]
) -> None:
    words = [32, len(attestors), *(int.from_bytes(each, "big") for each in attestors)]
    attestors_hash = keccak(b"".join(word.to_bytes(32, "big") for word in words))
    expected = reference(
        eip712.SUCCESSOR_TYPE, eip712.LOG_DOMAIN_NAME, chain_id, log,
        set_id, version, k, attestors_hash,
    )  # fmt: skip
    domain = eip712.log_domain(LogIdentity(chain_id, log))
    assert eip712.successor_digest(domain, set_id, version, k, attestors) == expected


@given(private_keys, hashes)
def test_sign__any_key_and_digest__recovers_with_low_s_and_is_repeatable(
    key: bytes, digest: bytes
) -> None:
    signature = sign(digest, key)
    assert recover(digest, signature) == address_of(key)
    assert sign(digest, key) == signature
    assert signature[64] in (27, 28)
    assert int.from_bytes(signature[32:64], "big") <= CURVE_ORDER // 2


@given(private_keys, hashes)
def test_recover__malleable_twin__is_always_refused(key: bytes, digest: bytes) -> None:
    signature = sign(digest, key)
    high_s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    for v in range(256):
        twin = signature[:32] + high_s.to_bytes(32, "big") + bytes((v,))
        with pytest.raises(VerificationFailed):
            recover(digest, twin)


@given(hashes, st.binary(max_size=140))
def test_recover__random_bytes__are_an_address_or_a_typed_error(
    digest: bytes, signature: bytes
) -> None:
    assert_typed(digest, signature)


@settings(max_examples=200)
@given(hashes, st.binary(min_size=64, max_size=64), st.sampled_from((0, 1, 27, 28)))
def test_recover__random_65_bytes__are_an_address_or_a_typed_error(
    digest: bytes, body: bytes, v: int
) -> None:
    assert_typed(digest, body + bytes((v,)))


def assert_typed(digest: bytes, signature: bytes) -> None:
    found, refusal = None, None
    try:
        found = recover(digest, signature)
    except AdtallyError as error:
        refusal = error
    if found is not None:
        assert (len(found), len(signature)) == (20, 65)
        assert signature[64] in (27, 28)
    elif refusal is not None:
        assert refusal.field == "signature"
