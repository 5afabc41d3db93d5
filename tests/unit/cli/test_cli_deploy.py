"""Who gets which role when contracts are deployed from the command line."""

from __future__ import annotations

import pytest

from adtally.chain.deploy import Officer, Officers
from adtally.commands.deploy import parse_officers
from adtally.errors import InvalidInput


def test_officers__all_named__only_the_pauser_acts_at_once() -> None:
    named = [f"0x{digit * 40}" for digit in "1234"]
    admin, registrar, pauser, treasurer = (bytes.fromhex(text[2:]) for text in named)
    assert parse_officers(*named, delay_seconds=86_400) == Officers(
        Officer(admin, 86_400),
        Officer(registrar, 86_400),
        Officer(pauser, 0),
        Officer(treasurer, 86_400),
    )


def test_officers__none_named__the_deployer_keeps_the_roles() -> None:
    assert parse_officers(None, None, None, None, delay_seconds=86_400) == Officers()


def test_officers__malformed_address__says_whose() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_officers(None, "0x12", None, None, delay_seconds=0)
    assert refused.value.field == "registrar"
