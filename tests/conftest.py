"""Settings of every test: how fast examples are made is no property of the code under test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "adtally",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("adtally")
