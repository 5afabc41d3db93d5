"""A member's doings in the escrow: open, offer, accept, fund, object, take the rest back."""

from __future__ import annotations

from adtally.chain.abi import Call
from adtally.chain.connection import Chain, TransactionReceipt
from adtally.chain.contracts.campaign_escrow import (
    CAMPAIGN_OPENED,
    OBJECTION_BOND_RELEASED,
    REFUNDED,
    CampaignEscrow,
    ObjectionBondReleased,
    Refunded,
    decode_objection_bond_released,
    decode_refunded,
)
from adtally.chain.contracts.token import Token
from adtally.chain.wallet import Wallet
from adtally.errors import ChainReverted
from adtally.events.signature import sign
from adtally.types import Address, Hash, Rates, Terms

_PERMIT_SECONDS = 3_600


class EscrowMember:
    """One member's account facing one escrow.

    Args:
        chain: where the escrow is.
        escrow: its address.
        account_key: private key of the member's registered account.
    """

    def __init__(self, chain: Chain, escrow: Address, account_key: bytes) -> None:
        self.escrow = CampaignEscrow(chain, escrow)
        self.account = Wallet(chain, account_key)
        self._key = account_key

    async def open_campaign(self, terms: Terms) -> int:
        """Open a campaign (an active advertiser); returns its id."""
        receipt = await self._send(self.escrow.open_campaign_call(terms))
        for log in receipt.logs:
            if log.address == self.escrow.address and CAMPAIGN_OPENED.matches(log):
                return int(CAMPAIGN_OPENED.decode(log)["campaign"])
        raise _no_event(receipt, "CampaignOpened")

    async def offer_order(
        self, campaign: int, publisher: int, rates: Rates, cap_base_units: int
    ) -> None:
        """Offer a publisher an order (the campaign's advertiser)."""
        await self._send(self.escrow.offer_order_call(campaign, publisher, rates, cap_base_units))

    async def accept_order(self, campaign: int, rates: Rates, cap_base_units: int) -> None:
        """Accept the order offered to this publisher, if it is exactly this one."""
        await self._send(self.escrow.accept_order_call(campaign, rates, cap_base_units))

    async def fund(self, campaign: int, token: Address, amount_base_units: int) -> Hash:
        """Deposit by ERC-2612 permit, in one transaction; returns its hash."""
        coin = Token(self.account.chain, token)
        now = (await self.account.chain.latest()).timestamp_seconds
        deadline = now + _PERMIT_SECONDS
        digest = await coin.permit_digest(
            self.account.address, self.escrow.address, amount_base_units, deadline
        )
        call = self.escrow.fund_with_permit_call(
            campaign, amount_base_units, deadline, sign(digest, self._key)
        )
        return (await self._send(call)).hash

    async def object_to(self, campaign: int, sequence: int, reason: str) -> Hash:
        """Object to the campaign's latest statement while it is pending (its advertiser).

        The terms' bond is approved first: objecting takes no permit. Returns the transaction.
        """
        terms = await self.escrow.terms(campaign)
        coin = Token(self.account.chain, terms.token)
        bond = terms.objection_bond_base_units
        allowed = await coin.allowance(self.account.address, self.escrow.address)
        if allowed < bond:
            await self._send(coin.approve_call(self.escrow.address, bond))
        return (await self._send(self.escrow.object_to_call(campaign, sequence, reason))).hash

    async def release_objection_bond(self, campaign: int) -> tuple[Hash, ObjectionBondReleased]:
        """Have the bond of a decided objection paid out; returns the transaction and to whom."""
        receipt = await self._send(self.escrow.release_objection_bond_call(campaign))
        for log in receipt.logs:
            if log.address == self.escrow.address and OBJECTION_BOND_RELEASED.matches(log):
                return receipt.hash, decode_objection_bond_released(log)
        raise _no_event(receipt, "ObjectionBondReleased")

    async def refund(self, campaign: int) -> tuple[Hash, Refunded]:
        """Take back what is not owed; returns the transaction and what it paid."""
        receipt = await self._send(self.escrow.refund_call(campaign))
        for log in receipt.logs:
            if log.address == self.escrow.address and REFUNDED.matches(log):
                return receipt.hash, decode_refunded(log)
        raise _no_event(receipt, "Refunded")

    async def _send(self, call: Call) -> TransactionReceipt:
        return await self.account.send(call)


def _no_event(receipt: TransactionReceipt, name: str) -> ChainReverted:
    return ChainReverted(
        f"transaction 0x{receipt.hash.hex()} did not emit {name}",
        reason="another contract at the escrow's address",
        action="check the deployment file",
    )
