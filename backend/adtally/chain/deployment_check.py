"""Whether a deployment document says what the chain says: for who has it from the operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eth_abi import encode
from eth_utils import keccak

from adtally.chain.abi import Function, address_argument
from adtally.chain.compile import Artifact
from adtally.chain.connection import Chain
from adtally.chain.contracts.attestor_sets import AttestorSets
from adtally.chain.contracts.event_log import EventLog
from adtally.chain.contracts.token import Token
from adtally.chain.deployment import Deployment
from adtally.errors import ChainReverted, ChainUnavailable
from adtally.types import Address

SOURCES = {
    "access_manager": "AccessManager",
    "membership": "Membership",
    "event_log": "EventLog",
    "campaign_escrow": "CampaignEscrow",
    "operator_bond": "OperatorBond",
}
"""The contract behind each name of a deployment file."""

_MEMBERSHIP = Function("MEMBERSHIP()", "address")
_EVENT_LOG = Function("EVENT_LOG()", "address")


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing that a document says, and what the chain says of it."""

    what: str
    where: str
    expected: object
    found: object


async def compare_with_chain(
    deployment: Deployment, chain: Chain, artifacts: Mapping[str, Artifact] | None
) -> list[Compared]:
    """Everything in the document that the chain can confirm.

    Not on chain: when a block counts as final, and which currency a token stands for.

    Args:
        artifacts: what the contracts compile to here; None leaves that out.

    Raises:
        ChainUnavailable: the node does not answer.
    """
    compared: list[Compared] = []
    for name, contract in deployment.contracts.items():
        code = await chain.code(contract.address)
        where = f"{name} at 0x{contract.address.hex()}"
        compared.append(Compared("code hash", where, keccak(code), contract.code_hash))
        artifact = None if artifacts is None else artifacts.get(SOURCES[name])
        if artifact is not None:
            is_same = artifact.is_code(code)
            what = "code on chain, against the sources here"
            found = artifact.name if is_same else f"other code of {len(code)} bytes"
            compared.append(Compared(what, where, artifact.name, found))
    compared += await _links(deployment, chain)
    compared += await _attestors(deployment, chain)
    for symbol, listed in deployment.tokens.items():
        token, where = Token(chain, listed.address), f"token at 0x{listed.address.hex()}"
        compared.append(
            Compared("decimals", where, await _or_nothing(token.decimals()), listed.decimals)
        )
        compared.append(Compared("symbol", where, await _or_nothing(token.symbol()), symbol))
    return compared


async def _links(deployment: Deployment, chain: Chain) -> list[Compared]:
    """That the contracts name each other, and not somebody else's."""
    log, escrow = deployment.event_log.address, deployment.campaign_escrow.address
    membership = deployment.membership.address
    asked = [
        ("membership of the event log", log, _MEMBERSHIP, membership),
        ("membership of the escrow", escrow, _MEMBERSHIP, membership),
        ("event log of the escrow", escrow, _EVENT_LOG, log),
    ]
    if deployment.operator_bond is not None:
        bond = deployment.operator_bond.address
        asked.append(("event log of the operator's bond", bond, _EVENT_LOG, log))
    return [
        Compared(what, f"contract 0x{at.hex()}", await _address(chain, at, function), named)
        for what, at, function, named in asked
    ]


async def _attestors(deployment: Deployment, chain: Chain) -> list[Compared]:
    log = EventLog(chain, deployment.event_log.address)
    where = f"event_log at 0x{log.address.hex()}"
    operator = await _or_nothing(log.operator())
    compared = [
        Compared("operator member", where, operator, deployment.operator_member),
        Compared(
            "attestor set",
            where,
            await _or_nothing(log.log_attestor_set()),
            deployment.attestor_set,
        ),
    ]
    sets = AttestorSets(chain, log.address)
    known = await _or_nothing(sets.attestor_set(deployment.attestor_set))
    if isinstance(known, tuple) and known[0] == 1:
        # Later versions were named by the set itself; the document is as of the deployment.
        named = [address_argument(attestor) for attestor in deployment.attestors]
        mark = keccak(encode(["uint8", "address[]"], [deployment.threshold, named]))
        compared.append(Compared("attestors and threshold", where, known[1], mark))
    return compared


async def _address(chain: Chain, at: Address, function: Function) -> object:
    try:
        answer = await chain.call(at, function.encode())
    except ChainReverted as error:
        return error.reason
    return answer[-20:] if len(answer) == 32 else answer


async def _or_nothing(asked: object) -> object:
    """A contract's answer; what it said instead where it has none."""
    try:
        return await asked  # type: ignore[misc]
    except (ChainReverted, ChainUnavailable) as error:
        return error.message
