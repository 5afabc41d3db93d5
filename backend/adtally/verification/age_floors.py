"""How far back events and their parents are looked up."""

from __future__ import annotations

from adtally.events.record import EventType
from adtally.verification.rule_set import RuleSet


class AgeFloors:
    """Times that never fall, not even when the rules are relaxed.

    So what lies below them can be forgotten, and forgetting can't be observed.
    """

    def __init__(self) -> None:
        self._advanced_to: tuple[int, RuleSet] | None = None
        self.oldest_event_ms = 0
        """Events that occurred before this are too old: their ids may be forgotten."""
        self.oldest_impression_ms = 0
        """Impressions that occurred before this are unknown as parents: they may be forgotten."""
        self.oldest_click_ms = 0
        """The same for clicks, whose conversions may come long after them."""

    def advance(self, now_ms: int, rules: RuleSet) -> None:
        """Raise the floors to what the rules allow at ``now_ms``."""
        if self._advanced_to == (now_ms, rules):
            return
        self._advanced_to = (now_ms, rules)
        oldest_event_ms = now_ms - rules.max_event_age_ms
        # A parent's clock may run ahead of its child's.
        oldest_parent_ms = oldest_event_ms - rules.max_clock_skew_ms
        impression_window_ms = max(rules.viewable_window_ms, rules.click_window_ms)
        self.oldest_event_ms = max(self.oldest_event_ms, oldest_event_ms)
        self.oldest_impression_ms = max(
            self.oldest_impression_ms, oldest_parent_ms - impression_window_ms
        )
        self.oldest_click_ms = max(
            self.oldest_click_ms, oldest_parent_ms - rules.conversion_window_ms
        )

    def oldest_parent_ms(self, kind: EventType) -> int:
        """The floor of parents of a kind, impression or click."""
        return self.oldest_click_ms if kind is EventType.CLICK else self.oldest_impression_ms
