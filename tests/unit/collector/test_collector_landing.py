"""Landing pages: what a declaration may name, and how the click token is added."""

from __future__ import annotations

import pytest

from adtally.collector.landing import landing_page, with_click


@pytest.mark.parametrize(
    ("detail", "page"),
    [
        ("https://shop.example", "https://shop.example/"),
        ("http://shop.example:8080/a?b=c#d", "http://shop.example:8080/a?b=c#d"),
        ("HTTPS://Shop.Example/A", "https://shop.example/A"),
        (
            "https://b\u00fccher.example/\u00e4?q=\u00fc",
            "https://xn--bcher-kva.example/%C3%A4?q=%C3%BC",
        ),
        ("https://shop.example/%C3%A4?x=%2F", "https://shop.example/%C3%A4?x=%2F"),
        ("https://[2001:db8::1]:444/", "https://[2001:db8::1]:444/"),
        ("https://shop.example//evil.example", "https://shop.example//evil.example"),
        ("https://shop.example@evil.example/", None),
        ("https://user:word@shop.example/", None),
        ("https://shop.example\\@evil.example/", None),
        ("https://shop.example/\r\nset-cookie: a=b", None),
        ("https://shop.example/ a", None),
        ("https:///path", None),
        ("https://shop.example:x/", None),
        ("//shop.example/", None),
        ("/path", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("ftp://shop.example/", None),
        ("", None),
    ],
)
def test_landing_page__declaration__is_a_url_of_http_with_a_host_or_none(
    detail: str, page: str | None
) -> None:
    assert landing_page(detail) == page


@pytest.mark.parametrize(
    ("page", "landed"),
    [
        ("https://a.example/", "https://a.example/?adtally_click=T"),
        ("https://a.example/?b=c", "https://a.example/?b=c&adtally_click=T"),
        ("https://a.example/p#top", "https://a.example/p?adtally_click=T#top"),
        (
            "https://a.example/?adtally_click=X",
            "https://a.example/?adtally_click=X&adtally_click=T",
        ),
    ],
)
def test_with_click__page__gets_one_parameter_more_at_its_end(page: str, landed: str) -> None:
    assert with_click(page, "T") == landed
