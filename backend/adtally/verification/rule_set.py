"""The rule set: every number and list that a verdict may depend on besides the log itself.

It stands in the log as canonical JSON (``docs/spec/facts.md``), so whoever replays the log judges
by the same rules that were in force at each entry.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from adtally.errors import InvalidInput
from adtally.events.record import NetworkClass, UserAgentClass

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Parameters of the verification rules.

    Attributes:
        max_event_age_ms: an event that arrives later than this after it occurred is too old;
            also how long ids are remembered.
        max_clock_skew_ms: how far a sender's clock may run ahead.
        viewable_window_ms: how long after its impression a viewable may occur.
        click_window_ms: how long after its impression a click may occur.
        conversion_window_ms: how long after its click a conversion may occur.
        refused_user_agent_classes: codes judged ``known_bot``.
        refused_network_classes: codes judged ``data_center``.
        publisher_conversions: whether publishers may report conversions themselves; if not, only
            the campaign's advertiser and collectors may.
        max_facts_lag_seconds: how long a final block with a relevant log may stay out of the log.
        anchor_promise_seconds: a receipt promises an anchor this long after the batch arrived.
        lists: name -> SHA-256 (hex) of each published list that senders classify traffic by.
    """

    version: int = 1
    max_event_age_ms: int = DAY_MS
    max_clock_skew_ms: int = 60_000
    viewable_window_ms: int = 3_600_000
    click_window_ms: int = DAY_MS
    conversion_window_ms: int = 7 * DAY_MS
    refused_user_agent_classes: tuple[int, ...] = (UserAgentClass.KNOWN_BOT,)
    refused_network_classes: tuple[int, ...] = (NetworkClass.DATA_CENTER,)
    publisher_conversions: bool = True
    max_facts_lag_seconds: int = 300
    anchor_promise_seconds: int = 3_600
    lists: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, ASCII."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode("ascii")

    @staticmethod
    def from_json(data: bytes) -> RuleSet:
        """Parse; accepts exactly what ``to_json`` writes.

        Raises:
            InvalidInput: not canonical, an unknown or missing field, or a value out of range.
        """
        try:
            raw = json.loads(data)
        except (ValueError, RecursionError):
            raise _invalid(
                "rules", "canonical JSON", data[:40].decode("ascii", "replace")
            ) from None
        names = {spec.name for spec in fields(RuleSet)}
        if not isinstance(raw, dict) or set(raw) != names:
            raise _invalid("rules", f"exactly the fields {sorted(names)}", "others")
        rules = RuleSet(**{name: _checked(name, value) for name, value in raw.items()})
        if rules.to_json() != data:
            raise _invalid("rules", "canonical form: sorted keys, no spaces", "another form")
        return rules

    @staticmethod
    def with_overrides(data: bytes) -> RuleSet:
        """The default rules with the fields of a JSON object in their place.

        Raises:
            InvalidInput: not a JSON object, an unknown field, or a value out of range.
        """
        base = json.loads(RuleSet().to_json())
        try:
            overrides = json.loads(data)
        except (ValueError, RecursionError):
            raise _invalid("rules", "a JSON object", data[:40].decode("ascii", "replace")) from None
        if not isinstance(overrides, dict) or not set(overrides) <= set(base):
            raise _invalid("rules", f"fields among {sorted(base)}", "others")
        merged = json.dumps(base | overrides, sort_keys=True, separators=(",", ":"))
        return RuleSet.from_json(merged.encode("ascii"))


def _invalid(name: str, expected: str, found: str) -> InvalidInput:
    return InvalidInput("the rule set is malformed", field=name, expected=expected, found=found)


def _checked(name: str, value: Any) -> Any:
    if name.startswith("refused_"):
        if isinstance(value, list) and all(_is_int(code) and 0 <= code <= 255 for code in value):
            return tuple(value)
        raise _invalid(name, "a list of codes 0 to 255", repr(value))
    if name == "publisher_conversions":
        if isinstance(value, bool):
            return value
        raise _invalid(name, "true or false", repr(value))
    if name == "lists":
        if isinstance(value, dict) and all(
            isinstance(key, str) and isinstance(digest, str) for key, digest in value.items()
        ):
            return value
        raise _invalid(name, "an object of name -> SHA-256 hex", repr(value))
    if not _is_int(value) or not 0 <= value < 2**53 or (name == "version" and value != 1):
        raise _invalid(name, "1" if name == "version" else "an integer 0 to 2^53", repr(value))
    return value


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
