"""Single hits through the real application: what counts, once, and what the log then holds."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from adtally.api.hits import GIF
from adtally.collector import collector as collecting
from adtally.collector import hits as taking
from adtally.errors import Overloaded
from adtally.events.batch import sign_batch
from adtally.events.facts import DeclarationKind, TimeFacts
from adtally.events.hit_tokens import CLICK_KIND, HIT_KIND, Slot, Token, mint_token
from adtally.events.record import (
    AdEvent,
    DeviceClass,
    EventType,
    UserAgentClass,
)
from adtally.events.verdict import Verdict
from adtally.settlement.engine import PlainEngine
from adtally.settlement.machine import LogMachine
from support.hits import BROWSER, LANDING, SLOT, Scene, hit_of, running_scene
from support.world import (
    ALICE,
    BOB,
    CAMPAIGN,
    CREATIVE,
    ESCROW_DOMAIN,
    FLIGHT_END,
    IDENTITY,
    KYC_EXPIRES,
    LOG_DOMAIN,
    NOON_MS,
    OPERATOR,
    PLACEMENT,
    RECEIPT_KEY,
    World,
)

pytestmark = pytest.mark.asyncio


async def test_impression__fresh_token__is_logged_accepted_and_answered_by_a_pixel(
    scene: Scene,
) -> None:
    text = scene.token(NOON_MS - 250)
    answer = await scene.get("imp", text, params={"cb": "[CACHEBUSTING]", "a": "${AUCTION_ID}"})
    assert (answer.status_code, answer.content) == (200, GIF)
    assert (len(GIF), GIF[:6]) == (43, b"GIF89a")
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["cache-control"] == "no-store"
    token = Token.parse(text.encode(), HIT_KIND)
    hit = hit_of(answer)
    assert (hit.verdict, hit.event_id) == ("accepted", token.event_id)
    event = scene.event(hit.index)
    assert event == AdEvent(
        type=EventType.IMPRESSION,
        campaign=CAMPAIGN,
        publisher=ALICE,
        placement=PLACEMENT,
        creative=CREATIVE,
        id=token.event_id,
        occurred_at_ms=NOON_MS - 250,
        country="DE",
        device=DeviceClass.DESKTOP,
        user_agent_class=UserAgentClass.BROWSER,
        subject=event.subject,
        context=event.context,
        verdict=Verdict.ACCEPTED,
    )
    assert any(event.subject)
    assert any(event.context)


async def test_impression__hundred_at_once_of_one_token__exactly_one_is_accepted(
    scene: Scene,
) -> None:
    for name in ("imp", "viewable", "click"):
        text = scene.token()
        if name != "imp":
            await scene.hit("imp", text)
        hits = await asyncio.gather(*(scene.hit(name, text) for _ in range(100)))
        verdicts = [hit.verdict for hit in hits]
        assert (name, verdicts.count("accepted")) == (name, 1)
        assert set(verdicts) == {"accepted", "duplicate"}
        assert len({hit.index for hit in hits}) == 100
    line = scene.service.sequencer.machine.accruals.lines(CAMPAIGN)[0]
    assert (line.counts.impressions, line.counts.viewables, line.counts.clicks) == (3, 1, 1)


async def test_impression__many_tokens_at_once__share_batches(scene: Scene) -> None:
    before = scene.service.sequencer.machine.next_sequence(OPERATOR)
    hits = await asyncio.gather(*(scene.hit("imp", scene.token()) for _ in range(200)))
    assert {hit.verdict for hit in hits} == {"accepted"}
    batches = scene.service.sequencer.machine.next_sequence(OPERATOR) - before
    assert 1 <= batches < 20


async def test_impression__again_from_another_place__does_not_count(scene: Scene) -> None:
    text = scene.token()
    assert (await scene.hit("imp", text)).verdict == "accepted"
    assert (await scene.hit("imp", text)).verdict == "duplicate"
    elsewhere = {"user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)"}
    assert (await scene.hit("imp", text, headers=elsewhere)).verdict == "conflict"


async def test_impression__known_bot__is_logged_and_refused(scene: Scene) -> None:
    bot = {"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
    hit = await scene.hit("imp", scene.token(), headers=bot)
    assert hit.verdict == "known_bot"
    assert scene.event(hit.index).user_agent_class is UserAgentClass.KNOWN_BOT


async def test_impression__by_a_server__says_nothing_of_the_server(scene: Scene) -> None:
    """An exchange fires ``burl`` itself: its program and address are not the person's."""
    headers = {"user-agent": "Go-http-client/1.1"}
    hit = await scene.hit("imp", scene.token(), params={"via": "server"}, headers=headers)
    assert hit.verdict == "accepted"
    event = scene.event(hit.index)
    assert (event.user_agent_class, event.device) == (0, 0)
    assert not any(event.subject + event.context)


@pytest.mark.parametrize(
    ("age_ms", "status"),
    [(3_600_000, 200), (3_600_001, 403), (-60_000, 200), (-60_001, 403), (10**12, 403)],
)
async def test_impression__age_of_the_token__bounds_are_exact(
    scene: Scene, age_ms: int, status: int
) -> None:
    before = scene.size
    answer = await scene.get("imp", scene.token(NOON_MS - age_ms))
    assert answer.status_code == status, answer.text
    if status == 200:
        assert hit_of(answer).verdict == "accepted"
        return
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] == "token"
    assert scene.size == before


async def test_impression__other_slot_or_kind_or_key__is_refused_and_not_logged(
    scene: Scene,
) -> None:
    before = scene.size
    good = Token.parse(scene.token().encode(), HIT_KIND)
    other = Slot(CAMPAIGN, BOB, PLACEMENT, CREATIVE).packed()
    key = scene.service.hits.keys.slot_key(SLOT.packed())
    cases = {
        "Alice's key for Bob's slot": (mint_token(key, HIT_KIND, other, good.event_id).text, 401),
        "another key": (mint_token(bytes(32), HIT_KIND, good.slot, good.event_id).text, 401),
        "a click token": (mint_token(key, CLICK_KIND, good.slot, good.event_id).text, 400),
        "none": ("", 400),
        "padded": (good.text + "=", 400),
        "standard alphabet": (good.text[:-1] + "+", 400),
    }
    for name, (text, status) in cases.items():
        for path in ("imp", "viewable", "click"):
            answer = await scene.get(path, text)
            assert (name, answer.status_code) == (name, status), answer.text
            assert answer.json()["detail"]
    assert (await scene.api.get("/v1/imp")).status_code == 400
    assert (await scene.api.head("/v1/imp")).status_code == 405
    assert (await scene.api.post("/v1/click")).headers["allow"] == "GET"
    assert scene.size == before


async def test_impression__prefetched__is_no_hit(scene: Scene) -> None:
    before = scene.size
    for header in ({"sec-purpose": "prefetch;prerender"}, {"purpose": "prefetch"}):
        for name in ("imp", "click"):
            assert (await scene.get(name, scene.token(), headers=header)).status_code == 403
    assert scene.size == before


async def test_viewable_and_click__of_an_impression__are_its_children(scene: Scene) -> None:
    text = scene.token()
    impression = await scene.hit("imp", text)
    scene.set_clock(NOON_MS + 1_500)
    viewable = await scene.hit("viewable", text)
    click = await scene.hit("click", text)
    for hit, kind in ((viewable, EventType.VIEWABLE), (click, EventType.CLICK)):
        event = scene.event(hit.index)
        assert (hit.verdict, event.type) == ("accepted", kind)
        assert event.parent_id == impression.event_id
        assert event.occurred_at_ms == NOON_MS + 1_500
        assert event.subject == scene.event(impression.index).subject


async def test_click__without_its_impression__lands_and_can_count_later(scene: Scene) -> None:
    text = scene.token()
    first = await scene.get("click", text)
    assert hit_of(first).verdict == "unknown_parent"
    assert first.headers["location"] == LANDING
    await scene.hit("imp", text)
    scene.set_clock(NOON_MS + 1)
    assert (await scene.hit("click", text)).verdict == "accepted"


async def test_click__redirects_to_the_registered_page_whatever_is_asked(scene: Scene) -> None:
    text = scene.token()
    await scene.hit("imp", text)
    evil = "https://evil.example/"
    answer = await scene.get(
        "click",
        text,
        params={"url": evil, "redirect": evil, "adtally_click": evil, "t2": evil},
        headers={"host": "evil.example", "x-forwarded-host": "evil.example", "referer": evil},
    )
    assert answer.status_code == 302
    location = urlsplit(answer.headers["location"])
    assert (location.scheme, location.netloc) == ("https", "shop.example")
    assert (location.path, location.fragment) == ("/shoes", "top")
    query = parse_qs(location.query)
    assert query["color"] == ["red"]
    (click,) = query["adtally_click"]
    token = Token.parse(click.encode(), CLICK_KIND)
    token.require_mac(scene.service.hits.keys.click_key)
    assert token.event_id == hit_of(answer).event_id
    assert token.slot == SLOT.packed()
    assert evil not in answer.headers["location"]


async def test_click__twice__lands_with_the_click_that_counts(scene: Scene) -> None:
    text = scene.token()
    await scene.hit("imp", text)
    first = await scene.get("click", text)
    scene.set_clock(NOON_MS + 700)
    second = await scene.get("click", text)
    assert [hit_of(each).verdict for each in (first, second)] == ["accepted", "duplicate"]
    assert first.headers["location"] == second.headers["location"]


async def test_clicks__more_than_are_remembered__the_oldest_are_forgotten(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "_REMEMBERED_CLICKS", 1)
    old, new = scene.token(), scene.token()
    for text in (old, new):
        await scene.hit("imp", text)
        assert (await scene.hit("click", text)).verdict == "accepted"
    scene.set_clock(NOON_MS + 1)
    assert (await scene.hit("click", new)).verdict == "duplicate"
    again = await scene.get("click", old)
    assert hit_of(again).verdict == "parent_already_used"
    # Its id can't be a conversion's parent, so the page keeps the one it got first.
    assert again.headers["location"] == LANDING


async def test_click__as_pixel__counts_without_a_redirect(scene: Scene) -> None:
    text = scene.token()
    await scene.hit("imp", text)
    answer = await scene.get("click", text, params={"as": "pixel"})
    assert (answer.status_code, answer.content) == (200, GIF)
    assert hit_of(answer).verdict == "accepted"


async def test_click__too_old_to_count__still_lands(scene: Scene) -> None:
    text = scene.token()
    scene.set_clock(NOON_MS + 86_400_001)
    before = scene.size
    answer = await scene.get("click", text)
    assert (answer.status_code, answer.headers["location"]) == (302, LANDING)
    assert answer.headers["adtally-refused"] == "not_allowed"
    assert scene.size == before


@pytest.mark.parametrize(
    "detail", ["", "a banner", "javascript:alert(1)", "//evil.example/", "https://", "data:,x"]
)
async def test_click__no_landing_page__is_counted_and_says_so(scene: Scene, detail: str) -> None:
    await scene.declare(DeclarationKind.CREATIVE, detail)
    text = scene.token()
    await scene.hit("imp", text)
    before = scene.size
    answer = await scene.get("click", text)
    assert (answer.status_code, answer.json()["field"]) == (404, "creative")
    assert "location" not in answer.headers
    assert scene.event(before + 1).verdict is Verdict.ACCEPTED


async def test_publisher_and_collector__same_id__counts_once(scene: Scene) -> None:
    """Ids are unique per publisher and type, whoever reports them."""
    by_publisher, by_collector = scene.token(), scene.token()
    events = [
        AdEvent(
            EventType.IMPRESSION, CAMPAIGN, ALICE, PLACEMENT, CREATIVE, token.event_id, token.at_ms
        )
        for token in (Token.parse(text.encode(), HIT_KIND) for text in (by_publisher, by_collector))
    ]
    world, submit = World(), scene.service.sequencer.submit
    assert (await scene.hit("imp", by_collector)).verdict == "accepted"
    assert list((await submit(world.batch(events))).verdicts) == [
        Verdict.ACCEPTED,
        Verdict.CONFLICT,
    ]
    assert (await scene.hit("imp", by_publisher)).verdict == "conflict"
    exact = scene.token()
    same = AdEvent.from_record(
        scene.service.sequencer.store.entry((await scene.hit("imp", exact)).index)
    ).with_verdict(Verdict.UNSET)
    assert list((await submit(world.batch([same]))).verdicts) == [Verdict.DUPLICATE]
    assert scene.service.sequencer.machine.accruals.lines(CAMPAIGN)[0].counts.impressions == 3


async def test_collector__restart__sequence_goes_on_and_tokens_stay_used(tmp_path: Path) -> None:
    async with running_scene(tmp_path) as scene:
        used, key = scene.token(), scene.mint().key
        first = await scene.hit("imp", used)
    async with running_scene(tmp_path) as again:
        assert again.mint().key == key
        assert (await again.hit("imp", used)).verdict == "duplicate"
        fresh = await again.hit("imp", again.token())
        assert (fresh.verdict, fresh.index > first.index) == ("accepted", True)
        assert again.service.sequencer.machine.next_sequence(OPERATOR) == 4


async def test_collector__sequence_taken_by_another_batch__goes_on(scene: Scene) -> None:
    await scene.hit("imp", scene.token())
    record = World().event().to_record()
    other = sign_batch(LOG_DOMAIN, IDENTITY.chain_id, RECEIPT_KEY, OPERATOR, 2, [record])
    await scene.service.sequencer.submit(other)
    assert (await scene.hit("imp", scene.token())).verdict == "accepted"


async def test_collector__too_many_waiting__503_and_nothing_of_it_is_taken(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "MAX_WAITING_HITS", 5)
    answers = await asyncio.gather(*(scene.get("imp", scene.token()) for _ in range(20)))
    codes = [answer.status_code for answer in answers]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert codes.count(200) == 20 - len(refused) > 0
    assert refused
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].json()["code"] == "overloaded"
    line = scene.service.sequencer.machine.accruals.lines(CAMPAIGN)[0]
    assert line.counts.impressions == codes.count(200)
    assert (await scene.hit("imp", scene.token())).verdict == "accepted"


async def test_collector__log_overloaded_once__takes_its_sequence_anew(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = scene.service.sequencer.submit

    async def full(_: object) -> None:
        raise Overloaded("too many batches are waiting")

    await scene.hit("imp", scene.token())
    monkeypatch.setattr(scene.service.sequencer, "submit", full)
    text = scene.token()
    assert (await scene.get("imp", text)).status_code == 503
    assert (await scene.get("click", text)).status_code == 503
    monkeypatch.setattr(scene.service.sequencer, "submit", submit)
    assert (await scene.hit("imp", text)).verdict == "accepted"


async def test_collector__member_without_the_role__says_so_and_logs_nothing(scene: Scene) -> None:
    member = scene.service.sequencer.machine.facts.members[OPERATOR]
    text = scene.token()
    await scene.hit("imp", text)
    member.roles &= ~8
    before = scene.size
    answer = await scene.get("imp", scene.token())
    assert (answer.status_code, answer.json()["field"]) == (403, "member")
    assert "COLLECTOR" in answer.json()["expected"]
    # A person lands all the same.
    assert (await scene.get("click", text)).headers["location"] == LANDING
    assert not (await scene.api.get("/v1/collector")).json()["can_collect"]
    assert scene.size == before


async def test_collector__kyc_expired__every_hit_gets_the_reason(scene: Scene) -> None:
    # Past all of the campaign's time, so that only the sender is refused.
    scene.set_clock(KYC_EXPIRES * 1000)
    texts = [scene.token(KYC_EXPIRES * 1000) for _ in range(5)]
    answers = await asyncio.gather(*(scene.get("imp", text) for text in texts))
    assert [answer.status_code for answer in answers] == [403] * 5
    assert all("KYC" in answer.json()["detail"] for answer in answers)


async def test_log__of_hits__is_what_the_reference_machine_demands(scene: Scene) -> None:
    """An attestor or auditor replays it with every signature and verdict checked."""
    for at in range(12):
        scene.set_clock(NOON_MS + at * 1_000)
        slot = SLOT if at % 3 else Slot(CAMPAIGN, BOB, PLACEMENT + at % 2, CREATIVE)
        text = scene.token(NOON_MS + at * 1_000, slot)
        headers = {"user-agent": "curl/8.5"} if at % 5 == 0 else BROWSER
        await asyncio.gather(*(scene.hit("imp", text, headers=headers) for _ in range(3)))
        await scene.hit("viewable", text)
        await scene.hit("click", text)
    scene.set_clock(FLIGHT_END * 1000 + 1)
    assert (await scene.hit("imp", scene.token(FLIGHT_END * 1000))).verdict == "flight_over"
    await scene.service.sequencer.enter_facts(lambda at_ms: [TimeFacts(at_ms)])
    reference = LogMachine(IDENTITY, ESCROW_DOMAIN, engine=PlainEngine)
    for entry in scene.service.sequencer.store.entries(0, scene.size):
        reference.apply(entry)
    reference.require_complete()
    assert reference.accruals.lines(CAMPAIGN) == (
        scene.service.sequencer.machine.accruals.lines(CAMPAIGN)
    )
    assert reference.accruals.lines(CAMPAIGN)[0].counts.impressions == 6


async def test_log__copied_at_any_moment__holds_every_hit_that_was_answered(
    tmp_path: Path,
) -> None:
    """What a crash would leave: nothing that got its pixel is missing after the restart."""
    async with running_scene(tmp_path / "first") as scene:
        answered: list[str] = []

        async def browse() -> None:
            for _ in range(15):
                text = scene.token()
                assert (await scene.hit("imp", text)).verdict == "accepted"
                answered.append(text)

        async def crash() -> list[str]:
            while len(answered) < 100:
                await asyncio.sleep(0)
            known = list(answered)
            shutil.copytree(tmp_path / "first", tmp_path / "second")
            return known

        *_, known = await asyncio.gather(*(browse() for _ in range(20)), crash())
    assert 100 <= len(known) < 300
    async with running_scene(tmp_path / "second") as again:
        hits = await asyncio.gather(*(again.hit("imp", text) for text in known))
        assert {hit.verdict for hit in hits} == {"duplicate"}
        assert (await again.hit("imp", again.token())).verdict == "accepted"
