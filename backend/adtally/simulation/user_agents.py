"""A small set of real user-agent strings and their classes.

Crawlers are told by the list of the ``crawler-user-agents`` package (GIVT, MRC); everything else
here is a browser or an app.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from crawleruseragents import is_crawler

from adtally.events.record import DeviceClass, UserAgentClass

_APP_MARKS = ("; wv)", "FBAN/", "Instagram ", "Roku/", "AppleTV", "SMART-TV", "CFNetwork/")


@dataclass(frozen=True, slots=True)
class UserAgent:
    """One string, the device that sends it and its share among that device's strings."""

    text: str
    device: DeviceClass
    weight: float


@lru_cache(maxsize=4096)
def classify_user_agent(text: str) -> UserAgentClass:
    """KNOWN_BOT if the crawler list matches, UNKNOWN if empty, else APP or BROWSER."""
    if not text:
        return UserAgentClass.UNKNOWN
    if is_crawler(text):
        return UserAgentClass.KNOWN_BOT
    if any(mark in text for mark in _APP_MARKS):
        return UserAgentClass.APP
    return UserAgentClass.BROWSER


_MOZILLA = "Mozilla/5.0 "
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko) "
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) "

PEOPLE = (
    UserAgent(
        _MOZILLA
        + "(iPhone; CPU iPhone OS 18_5 like Mac OS X) "
        + _SAFARI
        + "Version/18.5 Mobile/15E148 Safari/604.1",
        DeviceClass.MOBILE,
        0.38,
    ),
    UserAgent(
        _MOZILLA + "(Linux; Android 10; K) " + _WEBKIT + "Chrome/137.0.0.0 Mobile Safari/537.36",
        DeviceClass.MOBILE,
        0.42,
    ),
    UserAgent(
        _MOZILLA
        + "(Linux; Android 14; SM-S921B Build/UP1A.231005.007; wv) "
        + _WEBKIT
        + "Version/4.0 Chrome/137.0.7151.61 Mobile Safari/537.36",
        DeviceClass.MOBILE,
        0.12,
    ),
    UserAgent(
        _MOZILLA
        + "(iPhone; CPU iPhone OS 18_4 like Mac OS X) "
        + _SAFARI
        + "Mobile/15E148 Instagram 382.0.0.22.84",
        DeviceClass.MOBILE,
        0.08,
    ),
    UserAgent(
        _MOZILLA + "(Windows NT 10.0; Win64; x64) " + _WEBKIT + "Chrome/137.0.0.0 Safari/537.36",
        DeviceClass.DESKTOP,
        0.52,
    ),
    UserAgent(
        _MOZILLA
        + "(Windows NT 10.0; Win64; x64) "
        + _WEBKIT
        + "Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0",
        DeviceClass.DESKTOP,
        0.16,
    ),
    UserAgent(
        _MOZILLA
        + "(Macintosh; Intel Mac OS X 10_15_7) "
        + _SAFARI
        + "Version/18.5 Safari/605.1.15",
        DeviceClass.DESKTOP,
        0.18,
    ),
    UserAgent(
        _MOZILLA + "(X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
        DeviceClass.DESKTOP,
        0.14,
    ),
    UserAgent(
        _MOZILLA
        + "(iPad; CPU OS 17_7 like Mac OS X) "
        + _SAFARI
        + "Version/17.7 Mobile/15E148 Safari/604.1",
        DeviceClass.TABLET,
        0.7,
    ),
    UserAgent(
        _MOZILLA + "(Linux; Android 13; SM-X200) " + _WEBKIT + "Chrome/136.0.0.0 Safari/537.36",
        DeviceClass.TABLET,
        0.3,
    ),
    UserAgent(
        _MOZILLA + "(SMART-TV; Linux; Tizen 7.0) " + _WEBKIT + "Version/7.0 TV Safari/537.36",
        DeviceClass.CONNECTED_TV,
        0.6,
    ),
    UserAgent("Roku/DVP-14.5 (14.5.4.5934-46)", DeviceClass.CONNECTED_TV, 0.4),
)

BOTS = (
    UserAgent(
        _MOZILLA + "(compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        DeviceClass.OTHER,
        0.3,
    ),
    UserAgent(
        _MOZILLA
        + "(Linux; Android 6.0.1; Nexus 5X Build/MMB29P) "
        + _WEBKIT
        + "Chrome/137.0.0.0 Mobile Safari/537.36 "
        + "(compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        DeviceClass.MOBILE,
        0.2,
    ),
    UserAgent(
        _MOZILLA
        + _WEBKIT
        + "(compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) "
        + "Chrome/116.0.1938.76 Safari/537.36",
        DeviceClass.DESKTOP,
        0.15,
    ),
    UserAgent(
        _MOZILLA + "(compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
        DeviceClass.OTHER,
        0.1,
    ),
    UserAgent(
        _MOZILLA + "(X11; Linux x86_64) " + _WEBKIT + "HeadlessChrome/137.0.0.0 Safari/537.36",
        DeviceClass.DESKTOP,
        0.15,
    ),
    UserAgent(
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        DeviceClass.OTHER,
        0.05,
    ),
    UserAgent("python-requests/2.32.3", DeviceClass.OTHER, 0.05),
)
