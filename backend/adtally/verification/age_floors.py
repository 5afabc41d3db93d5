"""How far back events and their parents are looked up."""

from __future__ import annotations

from adtally.verification.rule_set import RuleSet


class AgeFloors:
    """Two times that never fall, not even when the rules are relaxed.

    So what lies below them can be forgotten, and forgetting can't be observed.
    """

    def __init__(self) -> None:
        self._advanced_to: tuple[int, RuleSet] | None = None
        self.oldest_event_ms = 0
        """Events that occurred before this are too old: their ids may be forgotten."""
        self.oldest_parent_ms = 0
        """Parents that occurred before this are unknown: they may be forgotten."""

    def advance(self, now_ms: int, rules: RuleSet) -> None:
        """Raise the floors to what the rules allow at ``now_ms``."""
        if self._advanced_to == (now_ms, rules):
            return
        self._advanced_to = (now_ms, rules)
        longest = max(rules.viewable_window_ms, rules.click_window_ms, rules.conversion_window_ms)
        oldest_event_ms = now_ms - rules.max_event_age_ms
        self.oldest_event_ms = max(self.oldest_event_ms, oldest_event_ms)
        self.oldest_parent_ms = max(
            self.oldest_parent_ms, oldest_event_ms - longest - rules.max_clock_skew_ms
        )
