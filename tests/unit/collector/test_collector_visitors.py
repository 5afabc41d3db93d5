"""Classes and commitments: stable for one ad, unlinkable across campaigns and days, erasable."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from adtally.collector.user_agents import classify_user_agent, published_list
from adtally.collector.visitors import DAY_MS, DailySalts, Visitor, describe, packed_address
from adtally.errors import StorageFailed
from adtally.events.record import DeviceClass, UserAgentClass
from adtally.simulation.user_agents import BOTS, PEOPLE

CAMPAIGN, OTHER = (1).to_bytes(4, "big"), (2).to_bytes(4, "big")
NOW_MS = 20_000 * DAY_MS + 43_200_000
WHO = Visitor("198.18.0.7", b"Mozilla/5.0 (X11; Linux x86_64)")


def test_describe__same_person__same_bytes_for_one_campaign_and_day_only(tmp_path: Path) -> None:
    salts = DailySalts(tmp_path, 30)
    first = describe(WHO, salts, CAMPAIGN, NOW_MS, NOW_MS)
    assert describe(WHO, salts, CAMPAIGN, NOW_MS, NOW_MS + DAY_MS) == first
    assert describe(WHO, DailySalts(tmp_path, 30), CAMPAIGN, NOW_MS, NOW_MS) == first
    others = [
        describe(WHO, salts, OTHER, NOW_MS, NOW_MS),
        describe(WHO, salts, CAMPAIGN, NOW_MS - DAY_MS, NOW_MS),
        describe(WHO._replace(address="198.18.0.8"), salts, CAMPAIGN, NOW_MS, NOW_MS),
        describe(WHO._replace(user_agent=b"Mozilla/5.0 (X11)"), salts, CAMPAIGN, NOW_MS, NOW_MS),
    ]
    for other in others:
        assert other.subject != first.subject
        assert other.context != first.context
    assert first.subject != first.context[:16]


def test_describe__commitment__can_be_opened_with_the_day_s_salt(tmp_path: Path) -> None:
    found = describe(WHO, DailySalts(tmp_path, 30), CAMPAIGN, NOW_MS, NOW_MS)
    (path,) = tmp_path.glob("*.salt")
    assert path.stem == "2024-10-04"
    assert path.stat().st_mode & 0o077 == 0
    secret = bytes.fromhex(path.read_text())
    salt = hmac.new(secret, b"adtally context v1" + CAMPAIGN, hashlib.sha256).digest()
    opened = bytes(10) + b"\xff\xff" + bytes((198, 18, 0, 7)) + WHO.user_agent
    assert hashlib.sha256(salt + opened).digest()[:20] == found.context


def test_salts__after_the_retention__are_deleted_and_not_made_again(tmp_path: Path) -> None:
    salts = DailySalts(tmp_path, 2)
    for day in range(4):
        now_ms = NOW_MS + day * DAY_MS
        assert salts.of(CAMPAIGN, now_ms, now_ms) is not None
    assert sorted(path.stem for path in tmp_path.glob("*.salt")) == ["2024-10-06", "2024-10-07"]
    now_ms = NOW_MS + 3 * DAY_MS
    assert salts.of(CAMPAIGN, now_ms - DAY_MS, now_ms) is not None
    assert salts.of(CAMPAIGN, now_ms - 2 * DAY_MS, now_ms) is None
    late = describe(WHO, salts, CAMPAIGN, now_ms - 2 * DAY_MS, now_ms)
    assert not any(late.subject + late.context)
    assert len(list(tmp_path.glob("*.salt"))) == 2


def test_salts__folder_that_cant_be_written__is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    salts = DailySalts(tmp_path / "file", 2)
    for _ in range(2):
        with pytest.raises(StorageFailed):
            describe(WHO, salts, CAMPAIGN, NOW_MS, NOW_MS)


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        ("198.18.0.7", bytes(10) + b"\xff\xff\xc6\x12\x00\x07"),
        ("2001:db8::1", bytes.fromhex("20010db8000000000000000000000001")),
        (None, b""),
        ("", b""),
        ("unknown", b""),
        ("198.18.0.7:80", b""),
        ("1.2.3.4\0", b""),
    ],
)
def test_packed_address__text__is_16_bytes_or_none(text: str | None, packed: bytes) -> None:
    assert packed_address(text) == packed


def test_describe__no_address__no_commitment(tmp_path: Path) -> None:
    found = describe(
        Visitor(None, WHO.user_agent), DailySalts(tmp_path, 2), CAMPAIGN, NOW_MS, NOW_MS
    )
    assert found.classes == bytes((DeviceClass.DESKTOP, UserAgentClass.BROWSER, 0))
    assert not any(found.subject + found.context)


@pytest.mark.parametrize("agent", PEOPLE, ids=lambda agent: agent.text[:60])
def test_classify__people__by_their_device(agent: object) -> None:
    device, client = classify_user_agent(agent.text.encode())  # type: ignore[attr-defined]
    assert device is agent.device  # type: ignore[attr-defined]
    assert client in (UserAgentClass.BROWSER, UserAgentClass.APP)


@pytest.mark.parametrize("agent", BOTS, ids=lambda agent: agent.text[:60])
def test_classify__crawlers__are_known_bots(agent: object) -> None:
    _, client = classify_user_agent(agent.text.encode())  # type: ignore[attr-defined]
    assert client is UserAgentClass.KNOWN_BOT


def test_classify__nothing_and_anything() -> None:
    assert classify_user_agent(b"") == (DeviceClass.UNKNOWN, UserAgentClass.UNKNOWN)
    assert classify_user_agent(b"\xff\x00zz") == (DeviceClass.OTHER, UserAgentClass.UNKNOWN)
    assert published_list().isascii()
