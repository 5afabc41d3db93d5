"""One spelling per signature: everything else is refused."""

from __future__ import annotations

import pytest
from eth_keys import keys
from events_spec import unhex, vectors

from adtally.errors import VerificationFailed
from adtally.events.signature import recover, require_signer

DATA = vectors("signatures.json")["refused_signatures"]
DIGEST = unhex(DATA["digest"])
GOOD = unhex(DATA["signature"])


@pytest.mark.parametrize("name", sorted(DATA["refused"]))
def test_recover__other_spelling__is_refused(name: str) -> None:
    with pytest.raises(VerificationFailed) as caught:
        recover(DIGEST, unhex(DATA["refused"][name]))
    assert caught.value.field == "signature"
    assert caught.value.expected


def test_recover__high_s_twin__would_recover_the_same_key() -> None:
    # So refusing it is what keeps signatures from being altered by strangers.
    twin = unhex(DATA["refused"]["high s, the same key's malleable twin"])
    standard = keys.Signature(vrs=(twin[64] - 27, int.from_bytes(twin[:32], "big"),
                                   int.from_bytes(twin[32:64], "big")))  # fmt: skip
    found = standard.recover_public_key_from_msg_hash(DIGEST).to_canonical_address()
    assert found == recover(DIGEST, GOOD)


def test_recover__flipped_v__is_another_address() -> None:
    flipped = GOOD[:64] + bytes((55 - GOOD[64],))
    assert recover(DIGEST, flipped) != recover(DIGEST, GOOD)


def test_recover__digest_of_wrong_length__is_refused() -> None:
    with pytest.raises(VerificationFailed):
        recover(DIGEST[:-1], GOOD)


def test_require_signer__other_signer__names_both() -> None:
    with pytest.raises(VerificationFailed) as caught:
        require_signer(DIGEST, GOOD, bytes(20), "batch")
    assert caught.value.expected == "signed by 0x" + "00" * 20
    assert recover(DIGEST, GOOD).hex() in str(caught.value.found)
    require_signer(DIGEST, GOOD, recover(DIGEST, GOOD), "batch")
