"""OperatorBond: what the operator loses when it breaks a promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from adtally.chain.abi import Call, Event, Function, address_result
from adtally.chain.connection import Chain
from adtally.events.eip712 import Receipt
from adtally.types import Address, BlockStamp, ChainLog, Checkpoint, Hash

_CHECKPOINT = "(uint64,bytes32)"
_RECEIPT = "(uint32,uint64,bytes32,uint64,uint32,uint64,bytes32,uint64)"
_PROVEN_ENTRY = "(uint64,bytes,bytes32[])"
_PROMISE = f"{_RECEIPT},bytes,{_CHECKPOINT}"

DEPOSIT = Function("deposit(uint256)", "uint256")
REQUEST_WITHDRAWAL = Function("requestWithdrawal(uint128)")
WITHDRAW = Function("withdraw()", "uint128")
PROVE_OTHER_ROOT = Function(f"proveOtherRoot({_PROMISE},bytes32,bytes32[])")
PROVE_OTHER_ENVELOPE = Function(f"proveOtherEnvelope({_PROMISE},{_PROVEN_ENTRY})")
PROVE_OTHER_RECORD = Function(f"proveOtherRecord({_PROMISE},{_PROVEN_ENTRY},bytes,bytes32[])")
PROVE_LATE = Function(f"proveLate({_RECEIPT},bytes)")
PROVE_DOUBLE_COUNT = Function(f"proveDoubleCount({_CHECKPOINT},{_PROVEN_ENTRY},{_PROVEN_ENTRY})")
RECEIPT_DIGEST = Function(f"receiptDigest({_RECEIPT})", "bytes32")
BOND = Function("bond()", "uint128")
BURNED = Function("burned()", "uint128")
WITHDRAWAL = Function("withdrawal()", "uint128,uint64")
IS_PUNISHED = Function("isPunished(bytes32)", "bool")
TOKEN = Function("TOKEN()", "address")
PENALTY = Function("PENALTY()", "uint128")

DEPOSITED = Event("Deposited(address indexed from,uint256 amount,uint256 bond)")
WITHDRAWAL_REQUESTED = Event("WithdrawalRequested(uint256 amount,uint64 withdrawableAt)")
WITHDRAWN = Event("Withdrawn(address indexed to,uint256 amount,uint256 bond)")
BREACH_PROVEN = Event(
    "BreachProven(uint8 indexed breach,bytes32 indexed id,address indexed finder,uint256 paid,"
    "uint256 burned)"
)


class Breach(IntEnum):
    """Which promise was broken."""

    OTHER_ROOT = 0
    """The log's root at the receipt's size is another one."""
    OTHER_ENVELOPE = 1
    """Where the receipt puts the batch's envelope is something else."""
    OTHER_RECORD = 2
    """Where the receipt puts a record of the batch is something else."""
    LATE = 3
    """No anchor covers the receipt after its deadline."""
    DOUBLE_COUNT = 4
    """One event (publisher, type and id) was accepted twice."""


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """An entry of the log with its RFC 9162 inclusion proof under an anchored checkpoint."""

    index: int
    entry: bytes
    proof: tuple[Hash, ...]

    def to_abi(self) -> tuple[object, ...]:
        return (self.index, self.entry, list(self.proof))


@dataclass(frozen=True, slots=True)
class BreachProven:
    """The finder was paid half of the penalty, the other half was burned; base units."""

    breach: Breach
    id: Hash
    finder: Address
    paid_base_units: int
    burned_base_units: int


@dataclass(frozen=True, slots=True)
class Deposited:
    """The bond grew to ``bond_base_units``."""

    sender: Address
    amount_base_units: int
    bond_base_units: int


@dataclass(frozen=True, slots=True)
class WithdrawalRequested:
    """The operator announced a withdrawal; 0 took the announcement back."""

    amount_base_units: int
    withdrawable_at_seconds: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The bond shrank to ``bond_base_units``."""

    to: Address
    amount_base_units: int
    bond_base_units: int


class OperatorBond:
    """Reads and calls of the OperatorBond contract at ``address``.

    Proofs are sent as they are: what they lack makes the call fail, see ``IOperatorBond``.
    """

    def __init__(self, chain: Chain, address: Address) -> None:
        self.chain = chain
        self.address = address

    async def _read(self, function: Function, at: BlockStamp | None, *args: object) -> Any:
        return function.decode(await self.chain.call(self.address, function.encode(*args), at))

    async def bond(self, at: BlockStamp | None = None) -> int:
        """Base units that can still be lost."""
        return int(await self._read(BOND, at))

    async def burned(self, at: BlockStamp | None = None) -> int:
        """Base units that breaches have burned; they stay in the contract for good."""
        return int(await self._read(BURNED, at))

    async def withdrawal(self, at: BlockStamp | None = None) -> tuple[int, int]:
        """Announced withdrawal in base units (0: none), and the second from which it is due."""
        amount, withdrawable_at = await self._read(WITHDRAWAL, at)
        return int(amount), int(withdrawable_at)

    async def is_punished(self, breach_id: Hash, at: BlockStamp | None = None) -> bool:
        """Whether this breach was punished already."""
        return bool(await self._read(IS_PUNISHED, at, breach_id))

    async def token(self) -> Address:
        """ERC-20 of the bond."""
        return address_result(str(await self._read(TOKEN, None)))

    async def penalty(self) -> int:
        """Base units that a breach costs."""
        return int(await self._read(PENALTY, None))

    async def receipt_digest(self, receipt: Receipt) -> Hash:
        """The contract's EIP-712 digest of a receipt."""
        return bytes(await self._read(RECEIPT_DIGEST, None, _receipt(receipt)))

    def deposit_call(self, amount_base_units: int) -> Call:
        """Add what the contract is allowed to take from the caller (anyone)."""
        return self._call(DEPOSIT, amount_base_units)

    def request_withdrawal_call(self, amount_base_units: int) -> Call:
        """Announce a withdrawal (the operator's account); 0 takes the announcement back."""
        return self._call(REQUEST_WITHDRAWAL, amount_base_units)

    def withdraw_call(self) -> Call:
        """Pay what was announced to the operator's payout address (the operator's account)."""
        return self._call(WITHDRAW)

    def prove_other_root_call(
        self,
        receipt: Receipt,
        signature: bytes,
        anchored: Checkpoint,
        root_hash: Hash,
        proof: Sequence[Hash],
    ) -> Call:
        """``root_hash`` is the log's at the receipt's size; ``proof`` leads it to ``anchored``."""
        promise = _promise(receipt, signature, anchored)
        return self._call(PROVE_OTHER_ROOT, *promise, root_hash, list(proof))

    def prove_other_envelope_call(
        self, receipt: Receipt, signature: bytes, anchored: Checkpoint, found: ProvenEntry
    ) -> Call:
        """``found`` is the entry at the receipt's first index."""
        promise = _promise(receipt, signature, anchored)
        return self._call(PROVE_OTHER_ENVELOPE, *promise, found.to_abi())

    def prove_other_record_call(
        self,
        receipt: Receipt,
        signature: bytes,
        anchored: Checkpoint,
        found: ProvenEntry,
        record: bytes,
        proof: Sequence[Hash],
    ) -> Call:
        """``record`` (verdict 0) is proven by ``proof`` under the receipt's records root."""
        promise = _promise(receipt, signature, anchored)
        return self._call(PROVE_OTHER_RECORD, *promise, found.to_abi(), record, list(proof))

    def prove_late_call(self, receipt: Receipt, signature: bytes) -> Call:
        """No anchor covers the receipt after its deadline."""
        return self._call(PROVE_LATE, _receipt(receipt), signature)

    def prove_double_count_call(
        self, anchored: Checkpoint, first: ProvenEntry, second: ProvenEntry
    ) -> Call:
        """Two accepted records with one publisher, type and event id."""
        arguments = (_checkpoint(anchored), first.to_abi(), second.to_abi())
        return self._call(PROVE_DOUBLE_COUNT, *arguments)

    def _call(self, function: Function, *arguments: object) -> Call:
        return Call(self.address, function.encode(*arguments))


def decode_deposited(log: ChainLog) -> Deposited:
    """Raises InvalidInput if the log is another event."""
    values = DEPOSITED.decode(log)
    return Deposited(address_result(values["from"]), values["amount"], values["bond"])


def decode_withdrawal_requested(log: ChainLog) -> WithdrawalRequested:
    """Raises InvalidInput if the log is another event."""
    values = WITHDRAWAL_REQUESTED.decode(log)
    return WithdrawalRequested(values["amount"], values["withdrawableAt"])


def decode_withdrawn(log: ChainLog) -> Withdrawn:
    """Raises InvalidInput if the log is another event."""
    values = WITHDRAWN.decode(log)
    return Withdrawn(address_result(values["to"]), values["amount"], values["bond"])


def decode_breach_proven(log: ChainLog) -> BreachProven:
    """Raises InvalidInput if the log is another event."""
    values = BREACH_PROVEN.decode(log)
    return BreachProven(
        Breach(values["breach"]),
        values["id"],
        address_result(values["finder"]),
        values["paid"],
        values["burned"],
    )


def _promise(
    receipt: Receipt, signature: bytes, anchored: Checkpoint
) -> tuple[object, bytes, object]:
    return (_receipt(receipt), signature, _checkpoint(anchored))


def _checkpoint(checkpoint: Checkpoint) -> tuple[int, bytes]:
    return (checkpoint.tree_size, checkpoint.root_hash)


def _receipt(receipt: Receipt) -> tuple[object, ...]:
    """In the order of the Solidity struct."""
    return (
        receipt.member,
        receipt.sequence,
        receipt.records_root,
        receipt.first_index,
        receipt.count,
        receipt.tree_size,
        receipt.root_hash,
        receipt.anchor_deadline_seconds,
    )
