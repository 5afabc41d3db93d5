"""Facts: log entries that bring outside knowledge into the log, so verdicts need nothing else.

Four kinds. *Chain facts* hold raw contract logs of a range of final blocks; the state of members,
campaigns, orders and funding is decoded from them, so an attestor compares them with the chain
byte for byte. *Declarations* are a member's signed registration of a placement, creative or
allowlist entry. *Rules facts* hold the rule set in canonical JSON. *Time facts* only say that
time has passed. Byte layouts: ``docs/spec/facts.md``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from adtally.errors import InvalidInput, TooLarge
from adtally.events.checks import check_size, check_uint, time_bytes
from adtally.events.eip712 import declaration_digest
from adtally.events.signature import SIGNATURE_SIZE, require_signer
from adtally.types import Address, Hash

CHAIN_FACTS_KIND = 0x03
DECLARATION_KIND = 0x04
RULES_KIND = 0x05
TIME_KIND = 0x06

MAX_ENTRY_SIZE = 65_535
"""Entries are length-prefixed by 16 bits in entry bundles (C2SP tlog-tiles)."""

MAX_DETAIL_BYTES = 2_048

MAX_TOPICS = 4
"""Of an EVM log (LOG0 to LOG4)."""


class ContractCode(IntEnum):
    """Which of the deployment's contracts emitted a log."""

    MEMBERSHIP = 1
    CAMPAIGN_ESCROW = 2


@dataclass(frozen=True, slots=True)
class FactLog:
    """A contract log as it stands in chain facts."""

    block_number: int
    log_index: int
    contract: ContractCode
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """All watched logs of the final blocks ``first_block`` to ``last_block``, in chain order.

    A range whose logs exceed one entry is cut into ``parts`` consecutive entries of the same
    range; a verdict between them can't happen because they are appended together.
    """

    recorded_at_ms: int
    first_block: int
    last_block: int
    last_block_hash: Hash
    last_block_timestamp_seconds: int
    logs: tuple[FactLog, ...]
    part: int = 0
    parts: int = 1

    def to_entry(self) -> bytes:
        """The canonical bytes.

        Raises:
            InvalidInput: a field is outside its range, or ``part`` is not below ``parts``.
            TooLarge: cut it with ``split_chain_facts``.
        """
        _check_chain_header(self)
        pieces = [
            _CHAIN_HEADER.pack(
                CHAIN_FACTS_KIND,
                time_bytes("recorded_at_ms", self.recorded_at_ms),
                self.first_block,
                self.last_block,
                self.last_block_hash,
                self.last_block_timestamp_seconds,
                self.part,
                self.parts,
                len(self.logs),
            )
        ]
        pieces += [_log_bytes(log) for log in self.logs]
        return _sized("chain facts", b"".join(pieces))

    @staticmethod
    def from_entry(entry: bytes) -> ChainFacts:
        """Parse; raises InvalidInput on anything ``to_entry`` would not write."""
        reader = _Reader(_sized("chain facts", entry), "chain facts")
        head = _CHAIN_HEADER.unpack(reader.take(_CHAIN_HEADER.size))
        if head[0] != CHAIN_FACTS_KIND:
            raise _malformed("chain facts", "first byte 0x03", f"0x{head[0]:02x}")
        logs = tuple(_read_log(reader) for _ in range(head[8]))
        reader.end()
        facts = ChainFacts(
            recorded_at_ms=int.from_bytes(head[1], "big"),
            first_block=head[2],
            last_block=head[3],
            last_block_hash=head[4],
            last_block_timestamp_seconds=head[5],
            logs=logs,
            part=head[6],
            parts=head[7],
        )
        _check_chain_header(facts)
        return facts


_CHAIN_HEADER = struct.Struct(">B6sQQ32sQHHH")
_LOG_HEADER = struct.Struct(">QIBB")
_DECLARATION = struct.Struct(">B6sBBIIII6s20s65s")


def _check_chain_header(facts: ChainFacts) -> None:
    check_uint("first_block", facts.first_block, 64)
    check_uint("last_block", facts.last_block, 64)
    check_size("last_block_hash", facts.last_block_hash, 32)
    check_uint("last_block_timestamp_seconds", facts.last_block_timestamp_seconds, 64)
    check_uint("parts", facts.parts, 16)
    if facts.first_block > facts.last_block:
        raise _malformed(
            "chain facts",
            "first block not after the last",
            f"{facts.first_block} to {facts.last_block}",
        )
    if not 0 <= facts.part < facts.parts:
        raise _malformed("chain facts", "part below parts", f"part {facts.part} of {facts.parts}")


def _log_bytes(log: FactLog) -> bytes:
    check_uint("block_number", log.block_number, 64)
    check_uint("log_index", log.log_index, 32)
    check_uint("data", len(log.data), 32)
    if len(log.topics) > MAX_TOPICS:
        raise _malformed("chain facts", f"at most {MAX_TOPICS} topics", str(len(log.topics)))
    for topic in log.topics:
        check_size("topics", topic, 32)
    return b"".join(
        (
            _LOG_HEADER.pack(log.block_number, log.log_index, log.contract, len(log.topics)),
            *log.topics,
            len(log.data).to_bytes(4, "big"),
            log.data,
        )
    )


def _read_log(reader: _Reader) -> FactLog:
    block, index, contract, topics = _LOG_HEADER.unpack(reader.take(_LOG_HEADER.size))
    if contract not in ContractCode.__members__.values() or topics > MAX_TOPICS:
        raise _malformed(
            "chain facts",
            f"contract 1 or 2 and at most {MAX_TOPICS} topics",
            f"contract {contract} and {topics} topics",
        )
    return FactLog(
        block_number=block,
        log_index=index,
        contract=ContractCode(contract),
        topics=tuple(reader.take(32) for _ in range(topics)),
        data=reader.take(int.from_bytes(reader.take(4), "big")),
    )


def split_chain_facts(facts: ChainFacts) -> list[ChainFacts]:
    """Cut facts whose logs exceed one entry into consecutive parts; one part if they fit.

    Raises:
        TooLarge: a single log exceeds an entry. The contracts bound every log that is watched, so
            this is a foreign contract or a broken RPC endpoint.
    """
    _check_chain_header(facts)
    groups: list[list[FactLog]] = [[]]
    size = _CHAIN_HEADER.size
    for log in facts.logs:
        length = len(_log_bytes(log))
        if _CHAIN_HEADER.size + length > MAX_ENTRY_SIZE:
            raise TooLarge(
                "a contract log does not fit a log entry",
                field="chain facts",
                expected=f"at most {MAX_ENTRY_SIZE - _CHAIN_HEADER.size} bytes",
                found=f"{length} bytes at block {log.block_number}, index {log.log_index}",
                action="check the deployment file and the RPC endpoint",
            )
        if size + length > MAX_ENTRY_SIZE:
            groups.append([])
            size = _CHAIN_HEADER.size
        groups[-1].append(log)
        size += length
    return [
        ChainFacts(
            facts.recorded_at_ms,
            facts.first_block,
            facts.last_block,
            facts.last_block_hash,
            facts.last_block_timestamp_seconds,
            tuple(group),
            part,
            len(groups),
        )
        for part, group in enumerate(groups)
    ]


class DeclarationKind(IntEnum):
    """What a member registers."""

    PLACEMENT = 1
    """A publisher's placement ``item``; ``detail`` names it."""
    CREATIVE = 2
    """An advertiser's creative ``item`` of ``campaign``; ``detail`` is its landing page."""
    ALLOWED_PLACEMENT = 3
    """An advertiser's allowlist entry: placement ``item`` of ``publisher`` in ``campaign``.

    A publisher with no active entry in a campaign may use all of its placements there.
    """


@dataclass(frozen=True, slots=True)
class Declaration:
    """A registration signed by the member's event key.

    ``declared_at_ms`` must rise from one declaration of the same thing to the next, so that an
    old one can't be replayed. ``active`` False withdraws it.
    """

    recorded_at_ms: int
    kind: DeclarationKind
    active: bool
    member: int
    campaign: int
    publisher: int
    item: int
    declared_at_ms: int
    signer: Address
    signature: bytes
    detail: str

    def digest(self, domain: Hash) -> Hash:
        return declaration_digest(
            domain,
            self.signer,
            self.kind,
            self.active,
            self.member,
            self.campaign,
            self.publisher,
            self.item,
            self.declared_at_ms,
            self.detail,
        )

    def verify_signature(self, domain: Hash) -> None:
        """Raises VerificationFailed unless ``signer`` signed it, InvalidInput if unloggable."""
        self.to_entry()
        require_signer(self.digest(domain), self.signature, self.signer, "declaration")

    def to_entry(self) -> bytes:
        """The canonical bytes.

        Raises:
            InvalidInput: a field is outside its range, or ``detail`` has no UTF-8.
            TooLarge: ``detail`` is over its limit.
        """
        for field in ("member", "campaign", "publisher", "item"):
            check_uint(field, getattr(self, field), 32)
        check_size("signer", self.signer, 20)
        check_size("signature", self.signature, SIGNATURE_SIZE)
        return _DECLARATION.pack(
            DECLARATION_KIND,
            time_bytes("recorded_at_ms", self.recorded_at_ms),
            self.kind,
            self.active,
            self.member,
            self.campaign,
            self.publisher,
            self.item,
            time_bytes("declared_at_ms", self.declared_at_ms),
            self.signer,
            self.signature,
        ) + _detail_bytes(self.detail)

    @staticmethod
    def from_entry(entry: bytes) -> Declaration:
        """Parse; raises InvalidInput on anything ``to_entry`` would not write."""
        reader = _Reader(entry, "declaration")
        fields = _DECLARATION.unpack(reader.take(_DECLARATION.size))
        if fields[0] != DECLARATION_KIND or fields[3] not in (0, 1):
            raise _malformed("declaration", "first byte 0x04, active 0 or 1", entry[:9].hex())
        if fields[2] not in DeclarationKind.__members__.values():
            raise _malformed("declaration", "kind 1, 2 or 3", str(fields[2]))
        detail = _detail_text(reader.rest())
        return Declaration(
            recorded_at_ms=int.from_bytes(fields[1], "big"),
            kind=DeclarationKind(fields[2]),
            active=bool(fields[3]),
            member=fields[4],
            campaign=fields[5],
            publisher=fields[6],
            item=fields[7],
            declared_at_ms=int.from_bytes(fields[8], "big"),
            signer=fields[9],
            signature=fields[10],
            detail=detail,
        )


def _detail_bytes(detail: str) -> bytes:
    try:
        data = detail.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            "detail is not text",
            field="detail",
            expected="Unicode text",
            found="a lone surrogate",
        ) from None
    return _sized_detail(data)


def _detail_text(data: bytes) -> str:
    try:
        return _sized_detail(data).decode()
    except UnicodeDecodeError:
        raise _malformed("declaration", "detail in UTF-8", "other bytes") from None


def _sized_detail(data: bytes) -> bytes:
    if len(data) > MAX_DETAIL_BYTES:
        raise TooLarge(
            "detail is too long",
            field="detail",
            expected=f"at most {MAX_DETAIL_BYTES} bytes of UTF-8",
            found=f"{len(data)} bytes",
        )
    return data


@dataclass(frozen=True, slots=True)
class RulesFacts:
    """The rule set in force from here on, as canonical JSON (sorted keys, no spaces)."""

    recorded_at_ms: int
    rules_json: bytes

    def to_entry(self) -> bytes:
        """The canonical bytes; raises InvalidInput, or TooLarge when the rules exceed an entry."""
        time = time_bytes("recorded_at_ms", self.recorded_at_ms)
        return _sized("rules facts", bytes((RULES_KIND,)) + time + self.rules_json)

    @staticmethod
    def from_entry(entry: bytes) -> RulesFacts:
        """Parse the frame; the JSON itself is checked by ``adtally.verification.rules``."""
        reader = _Reader(_sized("rules facts", entry), "rules facts")
        if reader.take(1)[0] != RULES_KIND:
            raise _malformed("rules facts", "first byte 0x05", entry[:1].hex())
        return RulesFacts(int.from_bytes(reader.take(6), "big"), reader.rest())


@dataclass(frozen=True, slots=True)
class TimeFacts:
    """Says that the operator's clock has reached ``recorded_at_ms``."""

    recorded_at_ms: int

    def to_entry(self) -> bytes:
        """The canonical bytes; raises InvalidInput when the time does not fit 48 bits."""
        return bytes((TIME_KIND,)) + time_bytes("recorded_at_ms", self.recorded_at_ms)

    @staticmethod
    def from_entry(entry: bytes) -> TimeFacts:
        """Parse; raises InvalidInput on anything ``to_entry`` would not write."""
        reader = _Reader(entry, "time facts")
        if reader.take(1)[0] != TIME_KIND:
            raise _malformed("time facts", "first byte 0x06", entry[:1].hex())
        facts = TimeFacts(int.from_bytes(reader.take(6), "big"))
        reader.end()
        return facts


def _sized(what: str, entry: bytes) -> bytes:
    """The entry, if its length fits the 16 bits of a bundle."""
    if len(entry) > MAX_ENTRY_SIZE:
        raise TooLarge(
            f"a {what} entry is too long",
            field=what,
            expected=f"at most {MAX_ENTRY_SIZE} bytes",
            found=f"{len(entry)} bytes",
        )
    return entry


def _malformed(what: str, expected: str, found: str) -> InvalidInput:
    return InvalidInput(f"not a version 1 {what} entry", field=what, expected=expected, found=found)


class _Reader:
    """Takes bytes off the front and never past the end."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    def take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if len(piece) != size:
            raise _malformed(self._what, f"{size} bytes at offset {self._at}", f"{len(piece)}")
        self._at += size
        return piece

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        if self._at != len(self._data):
            raise _malformed(self._what, "no trailing bytes", f"{len(self._data) - self._at} more")
