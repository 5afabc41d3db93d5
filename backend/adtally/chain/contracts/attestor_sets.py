"""AttestorSets: sets of attestors, k of n; a part of EventLog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adtally.chain.abi import Call, Event, Function, address_argument, address_results
from adtally.chain.connection import Chain
from adtally.chain.contracts.quorum import QUORUM, Quorum
from adtally.types import Address, BlockStamp, ChainLog, Hash

CREATE_ATTESTOR_SET = Function("createAttestorSet(address[],uint8)", "uint32")
NAME_SUCCESSOR = Function(f"nameSuccessor(uint32,address[],uint8,{QUORUM})")
REQUIRE_QUORUM = Function(f"requireQuorum(uint32,bytes32,{QUORUM})")
SUCCESSOR_DIGEST = Function("successorDigest(uint32,uint32,address[],uint8)", "bytes32")
ATTESTOR_SET = Function("attestorSet(uint32)", "uint32,bytes32")
ATTESTOR_SET_COUNT = Function("attestorSetCount()", "uint32")

ATTESTOR_SET_NAMED = Event(
    "AttestorSetNamed(uint32 indexed set,uint32 indexed version,uint8 threshold,"
    "address[] attestors)"
)


@dataclass(frozen=True, slots=True)
class AttestorSetNamed:
    """A set got a new version; every version of a set is one such event."""

    attestor_set: int
    version: int
    threshold: int
    attestors: tuple[Address, ...]


class AttestorSets:
    """Reads and calls about the sets of the contract at ``address``."""

    def __init__(self, chain: Chain, address: Address) -> None:
        self.chain = chain
        self.address = address

    async def attestor_set(
        self, attestor_set: int, at: BlockStamp | None = None
    ) -> tuple[int, Hash]:
        """Current version (0 if unknown) and keccak256(abi.encode(threshold, attestors))."""
        data = ATTESTOR_SET.encode(attestor_set)
        version, set_hash = ATTESTOR_SET.decode(await self.chain.call(self.address, data, at))
        return version, set_hash

    async def attestor_set_count(self, at: BlockStamp | None = None) -> int:
        """Number of sets; ids run from 1 to it."""
        answer = await self.chain.call(self.address, ATTESTOR_SET_COUNT.encode(), at)
        return int(ATTESTOR_SET_COUNT.decode(answer))

    async def successor_digest(
        self, attestor_set: int, version: int, attestors: Sequence[Address], threshold: int
    ) -> Hash:
        """The contract's EIP-712 digest for naming ``version`` of a set."""
        data = SUCCESSOR_DIGEST.encode(attestor_set, version, _ordered(attestors), threshold)
        return bytes(SUCCESSOR_DIGEST.decode(await self.chain.call(self.address, data)))

    async def require_quorum(
        self, attestor_set: int, digest: Hash, quorum: Quorum, at: BlockStamp | None = None
    ) -> None:
        """Raises ChainReverted unless the quorum is valid for ``digest``."""
        data = REQUIRE_QUORUM.encode(attestor_set, digest, quorum.to_abi())
        await self.chain.call(self.address, data, at)

    def create_attestor_set_call(self, attestors: Sequence[Address], threshold: int) -> Call:
        """Create a set (anyone); the attestors are put in ascending order here."""
        return Call(self.address, CREATE_ATTESTOR_SET.encode(_ordered(attestors), threshold))

    def name_successor_call(
        self, attestor_set: int, attestors: Sequence[Address], threshold: int, quorum: Quorum
    ) -> Call:
        """Name a set's next version, signed by a quorum of its current one."""
        data = NAME_SUCCESSOR.encode(attestor_set, _ordered(attestors), threshold, quorum.to_abi())
        return Call(self.address, data)


def decode_attestor_set_named(log: ChainLog) -> AttestorSetNamed:
    """Raises InvalidInput if the log is another event."""
    values = ATTESTOR_SET_NAMED.decode(log)
    return AttestorSetNamed(
        values["set"], values["version"], values["threshold"], address_results(values["attestors"])
    )


def _ordered(attestors: Sequence[Address]) -> list[str]:
    return [address_argument(attestor) for attestor in sorted(attestors)]
