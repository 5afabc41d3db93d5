"""Ready-made tags of a slot: what publishers paste, and where the minted token goes in each.

``{TOKEN}`` and ``{SLOT}`` are for the ad server or page to fill in; macros of OpenRTB 2.6
(``${AUCTION_ID}``) and VAST 4.2 (``[CACHEBUSTING]``) are filled in by exchanges and players, and
ignored here.
"""

from __future__ import annotations

from dataclasses import dataclass

TOKEN_PLACE = "{TOKEN}"
SLOT_PLACE = "{SLOT}"

_AUCTION_MACROS = (
    "auction=${AUCTION_ID}&bid=${AUCTION_BID_ID}&imp=${AUCTION_IMP_ID}"
    "&seat=${AUCTION_SEAT_ID}&price=${AUCTION_PRICE}&currency=${AUCTION_CURRENCY}"
)
_VAST_MACROS = "cb=[CACHEBUSTING]&at=[TIMESTAMP]"

_SCRIPT = """\
<a data-adtally="{SLOT}" target="_blank" rel="noopener"><img src="YOUR-CREATIVE" alt=""></a>
<script>
(function () {
  var ad = document.currentScript.previousElementSibling, base = "%(base)s/v1/";
  fetch(base + "token?s=" + ad.dataset.adtally).then(function (r) { return r.json(); })
    .then(function (minted) {
      var query = "?t=" + minted.token, timer = 0;
      ad.href = base + "click" + query;
      new Image().src = base + "imp" + query;
      new IntersectionObserver(function (seen, observer) {
        clearTimeout(timer);
        if (seen[seen.length - 1].intersectionRatio < 0.5) return;
        timer = setTimeout(function () {
          observer.disconnect();
          new Image().src = base + "viewable" + query;
        }, 1000);
      }, { threshold: [0, 0.5] }).observe(ad);
    });
})();
</script>
"""


@dataclass(frozen=True, slots=True)
class Tags:
    """All tags of one slot as text; ``bid`` are fields for an OpenRTB 2.6 Bid object."""

    pixel_html: str
    viewable_url: str
    click_html: str
    script_html: str
    vast_inline: str
    vast_wrapper: str
    bid: dict[str, str]


def tags_of(base_url: str, campaign: int, creative: int, landing_page: str) -> Tags:
    """The tags.

    Args:
        base_url: of the service as browsers reach it, without a slash at the end.
        landing_page: shown in the click tag as a comment for people; the redirect looks it up.
    """
    urls = {name: f"{base_url}/v1/{name}?t={TOKEN_PLACE}" for name in ("imp", "viewable", "click")}
    return Tags(
        pixel_html=(
            f'<img src="{urls["imp"]}" width="1" height="1" alt="" '
            'style="position:absolute;border:0">'
        ),
        viewable_url=urls["viewable"],
        click_html=(
            f'<a href="{urls["click"]}" target="_blank" rel="noopener">YOUR-CREATIVE</a>'
            f"<!-- lands at {landing_page.replace('--', '%2D%2D')} -->"
        ),
        script_html=_SCRIPT % {"base": base_url},
        vast_inline=_vast_inline(urls, creative),
        vast_wrapper=_vast_wrapper(urls),
        bid={
            "cid": str(campaign),
            "crid": str(creative),
            "burl": f"{urls['imp']}&via=server&{_AUCTION_MACROS}",
        },
    )


def _vast_inline(urls: dict[str, str], creative: int) -> str:
    """In the order that the schema of VAST 4.2 demands."""
    return f"""\
<VAST version="4.2" xmlns="http://www.iab.com/VAST">
  <Ad id="{TOKEN_PLACE}">
    <InLine>
      <AdSystem>adtally</AdSystem>
{_vast_impressions(urls)}
      <AdServingId>{TOKEN_PLACE}</AdServingId>
      <AdTitle>YOUR-TITLE</AdTitle>
      <Creatives>
        <Creative id="{creative}">
          <UniversalAdId idRegistry="unknown">{creative}</UniversalAdId>
          <Linear>
            <Duration>HH:MM:SS</Duration>
            <MediaFiles>YOUR-MEDIA-FILES</MediaFiles>
            <VideoClicks>
              <ClickThrough>{_cdata(urls["click"])}</ClickThrough>
            </VideoClicks>
          </Linear>
        </Creative>
      </Creatives>
    </InLine>
  </Ad>
</VAST>
"""


def _vast_wrapper(urls: dict[str, str]) -> str:
    return f"""\
<VAST version="4.2" xmlns="http://www.iab.com/VAST">
  <Ad id="{TOKEN_PLACE}">
    <Wrapper>
      <AdSystem>adtally</AdSystem>
{_vast_impressions(urls)}
      <Creatives>
        <Creative>
          <Linear>
            <VideoClicks>
              <ClickTracking>{_cdata(urls["click"] + "&as=pixel")}</ClickTracking>
            </VideoClicks>
          </Linear>
        </Creative>
      </Creatives>
      <VASTAdTagURI><![CDATA[YOUR-AD-TAG]]></VASTAdTagURI>
    </Wrapper>
  </Ad>
</VAST>
"""


def _vast_impressions(urls: dict[str, str]) -> str:
    return f"""\
      <Impression id="adtally">{_cdata(urls["imp"] + "&" + _VAST_MACROS)}</Impression>
      <ViewableImpression id="adtally">
        <Viewable>{_cdata(urls["viewable"] + "&" + _VAST_MACROS)}</Viewable>
      </ViewableImpression>"""


def _cdata(url: str) -> str:
    return f"<![CDATA[{url.replace(']]>', ']]%3E')}]]>"
