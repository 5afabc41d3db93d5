"""From a token to a verdict: what each kind of single hit is, and what it answers."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from typing import NamedTuple

from adtally.collector.collector import Collector, Logged
from adtally.collector.keys import CollectorKeys
from adtally.collector.landing import landing_page, with_click
from adtally.collector.postbacks import PostbackSignature, conversion_record, parse_postback
from adtally.collector.visitors import DailySalts, Visitor, describe
from adtally.errors import AdtallyError, NotAllowed, NotFound, Overloaded
from adtally.events.hit_tokens import (
    CLICK_KIND,
    HIT_KIND,
    Slot,
    Token,
    mint_token,
    parse_slot_name,
    require_slot_mac,
)
from adtally.events.record import NO_PARENT, EventType, new_event_id, pack_hit
from adtally.events.verdict import Verdict
from adtally.intake.clock import Clock
from adtally.settlement.machine import LogMachine
from adtally.verification.rule_set import RuleSet

_REMEMBERED_CLICKS = 65_536
_SAME_CLICK = (Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.CONFLICT)
"""The click of this id is in the log, perhaps accepted: a conversion can name it."""


class Answer(NamedTuple):
    """A hit that is in the log."""

    event_id: bytes
    verdict: Verdict
    leaf_index: int
    """Leaf index of its record."""


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a click goes, and what became of it: an answer, or why it was not logged."""

    location: str
    answer: Answer | None
    refusal: AdtallyError | None


class HitDesk:
    """Takes hits.

    Args:
        collector: logs their records.
        keys: what tokens are checked with.
        salts: of the commitments.
        clock: the service's.
        machine: read for facts and rules; they may be ahead of the disk by one commit.
        token_lifetime_ms: how long after its minting a token counts an impression.
    """

    def __init__(
        self,
        collector: Collector,
        keys: CollectorKeys,
        salts: DailySalts,
        clock: Clock,
        machine: LogMachine,
        token_lifetime_ms: int,
    ) -> None:
        self.collector = collector
        self.keys = keys
        self.token_lifetime_ms = token_lifetime_ms
        self._salts = salts
        self._clock = clock
        self._machine = machine
        self._clicked_at_ms: dict[bytes, int] = {}

    async def impression(self, text: bytes, visitor: Visitor) -> Answer:
        """Log the impression that a token names.

        Raises:
            InvalidInput, VerificationFailed: no genuine token.
            NotAllowed: it is too old, or the collector may not collect.
            Overloaded: not taken.
        """
        event_id, logged = self.submit_impression(text, visitor)
        return Answer(event_id, *(await logged))

    def submit_impression(
        self, text: bytes, visitor: Visitor
    ) -> tuple[bytes, asyncio.Future[Logged]]:
        """The impression's event id, and the future of its verdict; raises as ``impression``."""
        now_ms = self._clock.now_ms()
        token = self._genuine(text)
        self._require_fresh(token, now_ms, self.token_lifetime_ms)
        event_id = token.event_id
        return event_id, self._submit(EventType.IMPRESSION, token, event_id, visitor, now_ms)

    async def viewable(self, text: bytes, visitor: Visitor) -> Answer:
        """Log that the impression of a token became viewable; raises as ``impression``."""
        now_ms = self._clock.now_ms()
        token = self._genuine(text)
        self._require_fresh(token, now_ms, self._rules().viewable_window_ms)
        event_id = _child_id(b"adtally viewable id v1", token, now_ms)
        return await self._log(EventType.VIEWABLE, token, event_id, visitor, now_ms)

    async def tracked_click(self, text: bytes, visitor: Visitor) -> Answer:
        """Log the click on the ad of a token; raises as ``impression``."""
        return await self._click(self._genuine(text), visitor)

    async def click(self, text: bytes, visitor: Visitor) -> Landing:
        """Log the click on the ad of a token, and say where it lands.

        A person must land, so what was not logged for another reason than overload is redirected,
        too; without a click token, since no conversion can follow from it.

        Raises:
            InvalidInput, VerificationFailed: no genuine token.
            NotFound: the creative has no landing page.
            Overloaded: not taken; asking again may help.
        """
        token = self._genuine(text)
        try:
            answer = await self._click(token, visitor)
        except Overloaded:
            raise
        except AdtallyError as refusal:
            return Landing(self._landing_page(token), None, refusal)
        page = self._landing_page(token)
        if answer.verdict in _SAME_CLICK:
            click = mint_token(
                self.keys.click_key,
                CLICK_KIND,
                token.slot,
                answer.event_id,
                token.country.decode("ascii"),
            )
            page = with_click(page, click.text)
        return Landing(page, answer, None)

    async def conversion(self, signature: str, body: bytes) -> Answer:
        """Log a conversion.

        Args:
            signature: the header ``Adtally-Signature``.
            body: as it was signed.

        Raises:
            InvalidInput: malformed header, body, token, value.
            VerificationFailed: the click token or the signature is not genuine.
            NotAllowed: signed too long ago or ahead, or the collector may not collect.
            Overloaded: not taken.
        """
        now_ms = self._clock.now_ms()
        signed = PostbackSignature.parse(signature)
        postback = parse_postback(body)
        click = Token.parse(postback.click.encode("utf-8", "replace"), CLICK_KIND)
        click.require_mac(self.keys.click_key)
        signed.require(self.keys.postback_secret(Slot.unpacked(click.slot).campaign), body, now_ms)
        record = conversion_record(postback, click)
        logged = await self.collector.submit(record)
        return Answer(record[20:36], logged.verdict, logged.leaf_index)

    def mint(self, name: bytes) -> Token:
        """A token for a page that can't mint: for whoever has the slot's name.

        Raises:
            InvalidInput, VerificationFailed: no genuine slot name.
        """
        slot, mac = parse_slot_name(name)
        key = self.keys.slot_key(slot)
        require_slot_mac(key, slot, mac)
        event_id = new_event_id(self._clock.now_ms(), secrets.token_bytes(10))
        return mint_token(key, HIT_KIND, slot, event_id)

    # ------------------------------------------------------------------------------------------

    def _genuine(self, text: bytes) -> Token:
        token = Token.parse(text, HIT_KIND)
        token.require_mac(self.keys.slot_key(token.slot))
        return token

    def _require_fresh(self, token: Token, now_ms: int, lifetime_ms: int) -> None:
        skew_ms = self._rules().max_clock_skew_ms
        age_ms = now_ms - token.at_ms
        if not -skew_ms <= age_ms <= lifetime_ms:
            raise NotAllowed(
                "the token is not of now",
                field="token",
                expected=f"minted at most {lifetime_ms // 1000} s ago, and at most "
                f"{skew_ms // 1000} s ahead of the service's clock",
                found=f"{age_ms} ms ago",
                action="mint a token for each ad when it is served",
            )

    def _rules(self) -> RuleSet:
        if self._machine.rules is None:
            raise Overloaded("the log has no rules yet")
        return self._machine.rules

    async def _click(self, token: Token, visitor: Visitor) -> Answer:
        now_ms = self._clock.now_ms()
        self._require_fresh(token, now_ms, self._rules().click_window_ms)
        # A second request of the same click is the same record: its landing page gets the id of
        # the click that counts, so the conversion finds it.
        at_ms = self._clicked_at_ms.setdefault(token.signed, now_ms)
        if len(self._clicked_at_ms) > _REMEMBERED_CLICKS:
            del self._clicked_at_ms[next(iter(self._clicked_at_ms))]
        event_id = _child_id(b"adtally click id v1", token, at_ms)
        is_in_log = False
        try:
            answer = await self._log(EventType.CLICK, token, event_id, visitor, now_ms)
            is_in_log = answer.verdict in _SAME_CLICK
        finally:
            # Refused, say because its impression had not arrived: the next one is a click anew.
            if not is_in_log and self._clicked_at_ms.get(token.signed) == at_ms:
                del self._clicked_at_ms[token.signed]
        return answer

    async def _log(
        self,
        kind: EventType,
        token: Token,
        event_id: bytes,
        visitor: Visitor,
        now_ms: int,
    ) -> Answer:
        return Answer(event_id, *(await self._submit(kind, token, event_id, visitor, now_ms)))

    def _submit(
        self,
        kind: EventType,
        token: Token,
        event_id: bytes,
        visitor: Visitor,
        now_ms: int,
    ) -> asyncio.Future[Logged]:
        slot = token.slot
        who = describe(visitor, self._salts, slot[:4], token.at_ms, now_ms)
        parent_id = NO_PARENT if kind is EventType.IMPRESSION else token.event_id
        return self.collector.submit(pack_hit(kind, slot, event_id, parent_id, token.country, *who))

    def _landing_page(self, token: Token) -> str:
        slot = Slot.unpacked(token.slot)
        campaign = self._machine.facts.campaigns.get(slot.campaign)
        detail = None if campaign is None else campaign.creatives.get(slot.creative)
        page = None if detail is None else landing_page(detail)
        if page is None:
            raise NotFound(
                "the creative has no landing page",
                field="creative",
                expected="a declaration of the creative whose detail is an http or https URL",
                found="no declaration" if detail is None else repr(detail[:80]),
                action="the advertiser declares the creative with its landing page",
            )
        return page


def _child_id(domain: bytes, token: Token, at_ms: int) -> bytes:
    return new_event_id(at_ms, hashlib.sha256(domain + token.signed).digest()[:10])
