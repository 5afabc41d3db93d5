"""Put one set of contracts on a chain.

AccessManager -> Membership -> operator member -> EventLog with its attestor set -> CampaignEscrow
-> mock dollars (local chains only) -> OperatorBond -> roles. Nothing refers to what comes later, so
a deployment that breaks off leaves nothing behind but unused contracts; start again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eth_abi import encode
from eth_utils import keccak

from adtally.chain.abi import Call, address_argument
from adtally.chain.accounts import LOCAL_CHAIN_IDS
from adtally.chain.compile import Artifact
from adtally.chain.connection import Chain, TransactionReceipt
from adtally.chain.contracts import campaign_escrow, membership
from adtally.chain.contracts.access_manager import AccessManager, AccessRole
from adtally.chain.contracts.attestor_sets import (
    ATTESTOR_SET_NAMED,
    decode_attestor_set_named,
)
from adtally.chain.contracts.membership import MEMBER_REGISTERED, Membership
from adtally.chain.deployment import DeployedContract, DeployedToken, Deployment
from adtally.chain.wallet import Wallet
from adtally.errors import ChainUnavailable, InvalidInput
from adtally.types import Address, Role

MOCK_TOKENS = {"USDX": 6, "DAIX": 18}
"""Symbol -> decimals."""
MOCK_CURRENCY = "USD"
"""What one whole mock dollar stands for in reports, ISO 4217."""

LOCAL_PENALTY_BASE_UNITS = 1_000 * 10 ** MOCK_TOKENS["USDX"]
"""What a breach costs the operator on local chains, in USDX."""

_TEN_YEARS = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class MemberKeys:
    """A member's addresses; ``payout`` None means its account."""

    account: Address
    event_key: Address
    payout: Address | None = None


@dataclass(frozen=True, slots=True)
class Officer:
    """Holder of a role; its restricted calls must be announced ``delay_seconds`` ahead."""

    account: Address
    delay_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Officers:
    """Who holds the roles; None means the deployer, without delay.

    ``admin`` other than the deployer takes over the right to grant roles at the end.
    """

    admin: Officer | None = None
    registrar: Officer | None = None
    pauser: Officer | None = None
    treasurer: Officer | None = None


@dataclass(frozen=True, slots=True)
class BondTerms:
    """The ERC-20 of the operator's bond, and what a broken promise costs in its base units."""

    token: Address
    penalty_base_units: int


async def deploy(
    chain: Chain,
    artifacts: Mapping[str, Artifact],
    *,
    deployer_key: bytes,
    operator: MemberKeys,
    attestors: Sequence[Address],
    threshold: int,
    officers: Officers | None = None,
    bond: BondTerms | None = None,
    first_campaign: int = 1,
    kyc_expires_seconds: int | None = None,
) -> Deployment:
    """Deploy everything; the deployment is not saved to a file yet.

    Args:
        artifacts: from ``compile_contracts``.
        operator: becomes member 1; its account submits transactions, its event key signs
            receipts and, as the collector, batches of single hits.
        attestors: the set of log and campaigns; ``threshold`` of them must sign.
        officers: holders of the roles; default: the deployer holds all.
        bond: None deploys no bond contract; on local chains one in USDX.
        kyc_expires_seconds: the operator's; default ten years from the chain's latest block.

    Raises:
        InvalidInput: threshold and attestors do not fit.
        ChainReverted, ChainUnavailable: as they come; start again.
    """
    members = _checked_set(attestors, threshold)
    site = _Site(chain, artifacts, Wallet(chain, deployer_key))
    latest = await chain.latest()
    expires = kyc_expires_seconds or latest.timestamp_seconds + _TEN_YEARS
    first, authority = await site.create("AccessManager", ["address"], [site.deployer])
    manager = AccessManager(chain, authority.address)
    _, registry = await site.create("Membership", ["address"], [_arg(manager)])
    people = Membership(chain, registry.address)
    await site.open_registry(manager, people)
    operator_member = await site.register_operator(people, operator, expires)
    log, attestor_set = await site.create_log(people, operator_member, members, threshold)
    _, escrow = await site.create(
        "CampaignEscrow",
        ["address", "address", "uint32"],
        [_arg(manager), address_argument(log.address), first_campaign],
    )
    identity = await chain.identity()
    tokens: dict[str, DeployedToken] = {}
    if identity.chain_id in LOCAL_CHAIN_IDS:
        tokens = await site.create_tokens()
        bond = bond or BondTerms(tokens["USDX"].address, LOCAL_PENALTY_BASE_UNITS)
    operator_bond = None if bond is None else await site.create_bond(log.address, bond)
    await site.hand_over(manager, escrow.address, officers or Officers())
    return Deployment(
        chain_id=identity.chain_id,
        genesis_hash=identity.genesis_hash,
        block_number=first.block_number,
        access_manager=authority,
        membership=registry,
        event_log=log,
        campaign_escrow=escrow,
        operator_bond=operator_bond,
        operator_member=operator_member,
        attestor_set=attestor_set,
        threshold=threshold,
        attestors=members,
        receipt_signer=operator.event_key,
        finality=chain.finality,
        tokens=tokens,
    )


def _checked_set(attestors: Sequence[Address], threshold: int) -> tuple[Address, ...]:
    members = tuple(sorted(set(attestors)))
    if len(members) != len(attestors) or not len(members) < 2 * threshold <= 2 * len(members):
        raise InvalidInput(
            "threshold and attestors do not fit",
            field="threshold",
            expected="distinct attestors, and a threshold over half of them and at most all",
            found=f"{threshold} of {len(attestors)} ({len(members)} distinct)",
        )
    return members


@dataclass(frozen=True, slots=True)
class _Site:
    """One deployment under way."""

    chain: Chain
    artifacts: Mapping[str, Artifact]
    wallet: Wallet

    @property
    def deployer(self) -> str:
        return address_argument(self.wallet.address)

    async def create(
        self, name: str, types: Sequence[str], arguments: Sequence[object]
    ) -> tuple[TransactionReceipt, DeployedContract]:
        code = self.artifacts[name].bytecode + encode(types, arguments)
        receipt = await self.wallet.create(code)
        assert receipt.contract is not None
        runtime = await self.chain.code(receipt.contract)
        if not runtime:
            raise ChainUnavailable(
                f"{name} is not on the chain although it was mined",
                expected=f"code at 0x{receipt.contract.hex()}",
                found="none (a reorg?)",
                action="deploy again",
            )
        return receipt, DeployedContract(receipt.contract, keccak(runtime))

    async def open_registry(self, manager: AccessManager, people: Membership) -> None:
        """The deployer registers the operator, so it is registrar without delay for now."""
        restricted = (membership.REGISTER, membership.SET_ROLES, membership.RENEW_KYC)
        await self._send_all(
            [
                manager.target_function_role_call(people.address, restricted, AccessRole.REGISTRAR),
                manager.grant_role_call(AccessRole.REGISTRAR, self.wallet.address, 0),
            ]
        )

    async def register_operator(
        self, people: Membership, operator: MemberKeys, expires_seconds: int
    ) -> int:
        receipt = await self.wallet.send(
            people.register_call(
                operator.account,
                Role.OPERATOR | Role.COLLECTOR,
                kyc_reference=bytes(32),
                kyc_expires_seconds=expires_seconds,
                event_key=operator.event_key,
                payout=operator.payout,
            )
        )
        (registered,) = (log for log in receipt.logs if MEMBER_REGISTERED.matches(log))
        return int(MEMBER_REGISTERED.decode(registered)["member"])

    async def create_log(
        self, people: Membership, operator: int, attestors: Sequence[Address], threshold: int
    ) -> tuple[DeployedContract, int]:
        """A log that starts empty, and the id of the attestor set that it creates for itself."""
        members = [address_argument(attestor) for attestor in attestors]
        receipt, log = await self.create(
            "EventLog",
            ["address", "uint32", "address[]", "uint8", "(uint64,bytes32)"],
            [_arg(people), operator, members, threshold, (0, bytes(32))],
        )
        named = [each for each in receipt.logs if ATTESTOR_SET_NAMED.matches(each)]
        return log, decode_attestor_set_named(named[0]).attestor_set

    async def create_bond(self, log: Address, bond: BondTerms) -> DeployedContract:
        addresses = [address_argument(log), address_argument(bond.token)]
        _, contract = await self.create(
            "OperatorBond", ["address", "address", "uint128"], [*addresses, bond.penalty_base_units]
        )
        return contract

    async def create_tokens(self) -> dict[str, DeployedToken]:
        tokens = {}
        for symbol, decimals in MOCK_TOKENS.items():
            _, token = await self.create("MockDollar", ["string", "uint8"], [symbol, decimals])
            tokens[symbol] = DeployedToken(token.address, decimals, MOCK_CURRENCY)
        return tokens

    async def hand_over(self, manager: AccessManager, escrow: Address, officers: Officers) -> None:
        """Give the roles to their holders; the deployer keeps what nobody else is named for."""
        own = self.wallet.address
        pausing = (campaign_escrow.PAUSE, campaign_escrow.UNPAUSE)
        surplus = (campaign_escrow.RECOVER_SURPLUS,)
        calls = [
            manager.target_function_role_call(escrow, pausing, AccessRole.PAUSER),
            manager.target_function_role_call(escrow, surplus, AccessRole.TREASURER),
        ]
        holders = {
            AccessRole.REGISTRAR: officers.registrar,
            AccessRole.PAUSER: officers.pauser,
            AccessRole.TREASURER: officers.treasurer,
        }
        for role, officer in holders.items():
            holder = officer or Officer(own)
            calls.append(manager.label_role_call(role, role.name))
            calls.append(manager.grant_role_call(role, holder.account, holder.delay_seconds))
        if officers.registrar is not None and officers.registrar.account != own:
            calls.append(manager.revoke_role_call(AccessRole.REGISTRAR, own))
        admin = officers.admin
        if admin is not None and admin.account != own:
            calls.append(
                manager.grant_role_call(AccessRole.ADMIN, admin.account, admin.delay_seconds)
            )
            calls.append(manager.renounce_role_call(AccessRole.ADMIN, own))
        await self._send_all(calls)

    async def _send_all(self, calls: Sequence[Call]) -> None:
        for call in calls:
            await self.wallet.send(call)


def _arg(contract: AccessManager | Membership) -> str:
    return address_argument(contract.address)
