"""Brings the plan onto the chain: registers members, opens campaigns, agrees orders, funds."""

from __future__ import annotations

from dataclasses import dataclass, field

from adtally.chain.abi import Call
from adtally.chain.connection import Chain
from adtally.chain.contracts.campaign_escrow import OrderState
from adtally.chain.contracts.membership import Membership
from adtally.chain.contracts.token import Token
from adtally.chain.deployment import DeployedToken, Deployment
from adtally.chain.wallet import Wallet
from adtally.client.escrow_member import EscrowMember
from adtally.demo.local_time import give_ether
from adtally.demo.money import TokenUnit
from adtally.demo.plan import DAY_SECONDS, CampaignPlan, DemoPlan, Party
from adtally.errors import NotFound
from adtally.events.signature import address_of
from adtally.simulation.scenario import PublisherTraffic, Scenario
from adtally.types import Address, Cut, Role, Terms

_KYC_SECONDS = 365 * DAY_SECONDS
_GRACE_SECONDS = 7 * DAY_SECONDS
_NOTICE_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class OpenCampaign:
    """A plan that became a campaign on the chain."""

    id: int
    plan: CampaignPlan
    token: DeployedToken
    terms: Terms

    @property
    def unit(self) -> TokenUnit:
        return TokenUnit(self.plan.token, self.token.decimals)


@dataclass(slots=True)
class Cast:
    """The parties as members, each with its account at the escrow.

    Attributes:
        registrar_key: registers members and mints mock dollars.
        ids: party name -> member id.
        members: party name -> its account facing the escrow.
        campaigns: in the order of the plan.
    """

    plan: DemoPlan
    chain: Chain
    deployment: Deployment
    registrar_key: bytes
    ids: dict[str, int] = field(default_factory=dict)
    members: dict[str, EscrowMember] = field(default_factory=dict)
    campaigns: list[OpenCampaign] = field(default_factory=list)

    @property
    def names(self) -> dict[int, str]:
        """Member id -> party name."""
        return {member: name for name, member in self.ids.items()}

    @property
    def advertiser(self) -> EscrowMember:
        return self.members[self.plan.advertiser]

    def event_keys(self) -> dict[int, bytes]:
        """Member id -> event key, of everybody who sends events."""
        senders = (Role.ADVERTISER, Role.PUBLISHER)
        return {
            self.ids[party.name]: party.event_key
            for party in self.plan.parties
            if party.role in senders
        }

    async def register(self) -> None:
        """Register every party that is not yet, and give it gas (local chains only)."""
        membership = Membership(self.chain, self.deployment.membership.address)
        registrar = Wallet(self.chain, self.registrar_key)
        for party in self.plan.parties:
            account = address_of(party.account_key)
            if await membership.member_of(account) == 0:
                now = (await self.chain.latest()).timestamp_seconds
                await registrar.send(_registration(membership, party, now + _KYC_SECONDS))
                await give_ether(self.chain, account)
            self.ids[party.name] = await membership.member_of(account)
            self.members[party.name] = EscrowMember(
                self.chain, self.deployment.campaign_escrow.address, party.account_key
            )

    async def open_campaign(self, plan: CampaignPlan, flight_start_seconds: int) -> OpenCampaign:
        """Open a campaign by its plan."""
        terms = self._terms(plan, flight_start_seconds)
        return self._add(await self.advertiser.open_campaign(terms), plan, terms)

    async def adopt_campaign(self, plan: CampaignPlan, campaign: int) -> OpenCampaign:
        """Take up a campaign that an earlier run opened by the same plan."""
        return self._add(campaign, plan, await self.advertiser.escrow.terms(campaign))

    async def agree(self, campaign: OpenCampaign) -> None:
        """Offer and accept the orders that are not yet."""
        escrow = self.advertiser.escrow
        for order in campaign.plan.orders:
            publisher = self.ids[order.publisher]
            found = await escrow.order(campaign.id, publisher)
            terms = (order.rates, order.cap_base_units)
            if found.state is OrderState.NONE:
                await self.advertiser.offer_order(campaign.id, publisher, *terms)
            if found.state is not OrderState.ACCEPTED:
                await self.members[order.publisher].accept_order(campaign.id, *terms)

    async def deposit(self, step: int) -> list[tuple[OpenCampaign, int]]:
        """Make the deposits that are due up to a step; returns what was paid in now."""
        paid = []
        for campaign in self.campaigns:
            view = await self.advertiser.escrow.campaign(campaign.id)
            missing = self.funded_base_units(campaign, step) - view.funded_base_units
            if missing > 0:
                await self._mint(campaign.token.address, missing)
                await self.advertiser.fund(campaign.id, campaign.token.address, missing)
                paid.append((campaign, missing))
        return paid

    def funded_base_units(self, campaign: OpenCampaign, step: int) -> int:
        """What the campaign holds once the deposits up to a step are made."""
        return sum(
            deposit.amount_base_units for deposit in campaign.plan.deposits if deposit.step <= step
        )

    def scenario(self, campaign: OpenCampaign) -> Scenario:
        """The campaign's traffic, for the simulator."""
        weights = {order.publisher: order.weight for order in campaign.plan.orders}
        publishers = [
            PublisherTraffic(
                member=self.ids[party.name],
                placements=tuple(range(1, len(party.placements) + 1)),
                weight=weights.get(party.name, 1.0),
                has_order=party.name in weights,
            )
            for party in self.plan.parties
            if party.role is Role.PUBLISHER
        ]
        return Scenario(
            seed=self.plan.seed,
            campaign=campaign.id,
            publishers=tuple(publishers),
            creatives=tuple(range(1, len(campaign.plan.creatives) + 1)),
            flight_start_ms=campaign.terms.flight_start_seconds * 1000,
            flight_end_ms=campaign.terms.flight_end_seconds * 1000,
            steps=self.plan.steps,
            impressions=campaign.plan.impressions,
            behaviour=campaign.plan.behaviour,
            dishonest=campaign.plan.dishonest,
            tail_ms=min(DAY_SECONDS * 1000 // 96, self.plan.late_window_seconds * 500),
        )

    async def _mint(self, token: Address, amount: int) -> None:
        """Give the advertiser mock dollars until it has ``amount``."""
        coin = Token(self.chain, token)
        missing = amount - await coin.balance_of(self.advertiser.account.address)
        if missing > 0:
            registrar = Wallet(self.chain, self.registrar_key)
            await registrar.send(coin.mint_call(self.advertiser.account.address, missing))

    def _add(self, campaign: int, plan: CampaignPlan, terms: Terms) -> OpenCampaign:
        opened = OpenCampaign(campaign, plan, self._token(plan), terms)
        self.campaigns.append(opened)
        return opened

    def _token(self, plan: CampaignPlan) -> DeployedToken:
        token = self.deployment.tokens.get(plan.token)
        if token is None:
            raise NotFound(
                "the plan's token is not deployed",
                field="tokens",
                expected=plan.token,
                found=", ".join(self.deployment.tokens) or "none",
            )
        return token

    def _terms(self, plan: CampaignPlan, flight_start_seconds: int) -> Terms:
        return Terms(
            token=self._token(plan).address,
            flight_start_seconds=flight_start_seconds,
            flight_end_seconds=flight_start_seconds + self.plan.flight_seconds,
            late_window_seconds=self.plan.late_window_seconds,
            correction_window_seconds=self.plan.correction_window_seconds,
            dispute_window_seconds=plan.dispute_window_seconds,
            grace_seconds=_GRACE_SECONDS,
            notice_seconds=_NOTICE_SECONDS,
            attestor_set=self.deployment.attestor_set,
            holdback_basis_points=plan.holdback_basis_points,
            objection_bond_base_units=plan.objection_bond_base_units,
            goal_type=plan.goal_type,
            goal_count=plan.goal_count,
            settle_threshold_base_units=plan.settle_threshold_base_units,
            cuts=tuple(Cut(self.ids[cut.party], cut.basis_points) for cut in plan.cuts),
        )


def _registration(membership: Membership, party: Party, kyc_expires_seconds: int) -> Call:
    return membership.register_call(
        address_of(party.account_key),
        party.role,
        kyc_reference=_kyc_reference(party),
        kyc_expires_seconds=kyc_expires_seconds,
        event_key=address_of(party.event_key),
        payout=party.payout,
    )


def _kyc_reference(party: Party) -> bytes:
    return party.name.encode().ljust(32, b"\0")
