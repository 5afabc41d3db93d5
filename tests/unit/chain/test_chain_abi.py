"""Signatures, encoding and decoding."""

from __future__ import annotations

import pytest
from eth_abi import encode
from eth_utils import keccak

from adtally.chain.abi import ContractError, Event, Function, split_arguments
from adtally.errors import ChainUnavailable, InvalidInput
from adtally.types import ChainLog

TRANSFER = Function("transfer(address,uint256)", "bool")
PAIR = Function("pair((uint64,bytes32)[],uint8)", "uint32,(bool,bytes)")
MOVED = Event("Moved(uint32 indexed id,address indexed from,(uint64,bool) what,bytes rest)")


def _log(topics: tuple[bytes, ...], data: bytes) -> ChainLog:
    return ChainLog(1, bytes(32), bytes(32), 0, bytes(20), topics, data)


def test_split_arguments__nested__splits_outside_only() -> None:
    assert split_arguments("") == []
    assert split_arguments("uint8,(bool,(bytes,uint8))[],string") == [
        "uint8",
        "(bool,(bytes,uint8))[]",
        "string",
    ]


def test_function__selector__is_that_of_erc20() -> None:
    assert TRANSFER.selector.hex() == "a9059cbb"


def test_function__encode_then_decode_arguments__gives_them_back() -> None:
    data = PAIR.encode([(1, b"\x01" * 32)], 7)
    assert PAIR.decode_arguments(data) == (((1, b"\x01" * 32),), 7)


@pytest.mark.parametrize(
    "arguments", [(2**256, 0), ("0x" + "11" * 20, -1), ("0x" + "11" * 20,), (None, 1)]
)
def test_function__argument_does_not_fit__is_invalid_input(arguments: tuple[object, ...]) -> None:
    with pytest.raises(InvalidInput):
        TRANSFER.encode(*arguments)


@pytest.mark.parametrize("data", [b"", b"\xa9\x05\x9c\xbb", b"\x00" * 68])
def test_function__foreign_call_data__is_invalid_input(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        TRANSFER.decode_arguments(data)


def test_function__results__single_value_or_tuple() -> None:
    assert TRANSFER.decode(encode(["bool"], [True])) is True
    answer = encode(["uint32", "(bool,bytes)"], [5, (False, b"x")])
    assert PAIR.decode(answer) == (5, (False, b"x"))


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x02" * 32])
def test_function__no_such_result__is_chain_unavailable(data: bytes) -> None:
    with pytest.raises(ChainUnavailable):
        TRANSFER.decode(data)


def test_event__decode__names_every_parameter() -> None:
    assert MOVED.topic == keccak(b"Moved(uint32,address,(uint64,bool),bytes)")
    data = encode(["(uint64,bool)", "bytes"], [(9, True), b"rest"])
    topics = (MOVED.topic, (3).to_bytes(32, "big"), b"\x11".rjust(32, b"\0"))
    assert MOVED.decode(_log(topics, data)) == {
        "id": 3,
        "from": "0x" + "00" * 19 + "11",
        "what": (9, True),
        "rest": b"rest",
    }


@pytest.mark.parametrize(
    "log",
    [
        _log((), b""),
        _log((b"\x01" * 32,), b""),
        _log((MOVED.topic,), b""),
        _log((MOVED.topic, bytes(32), bytes(32)), b"\x01"),
        _log(
            (MOVED.topic, b"\xff" * 32, bytes(32)),
            encode(["(uint64,bool)", "bytes"], [(1, False), b""]),
        ),
    ],
)
def test_event__malformed_log__is_invalid_input(log: ChainLog) -> None:
    with pytest.raises(InvalidInput):
        MOVED.decode(log)


def test_contract_error__describe__shows_names_and_values() -> None:
    error = ContractError("Failed(uint64 now_,address who,bytes32 hash,string why)")
    values = encode(
        ["uint64", "address", "bytes32", "string"], [5, "0x" + "11" * 20, b"\x22" * 32, "late"]
    )
    assert error.describe(error.selector + values) == (
        f"Failed(now_=5, who=0x{'11' * 20}, hash=0x{'22' * 32}, why='late')"
    )
    assert error.describe(error.selector + b"\x01") == "Failed(0x01)"
    assert ContractError("AddressZero()").describe(b"1234") == "AddressZero()"
