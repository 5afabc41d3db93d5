"""``adtally up``: the service."""

from __future__ import annotations

import logging

from adtally.app import serve
from adtally.config import Settings


def up(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    start_logging()
    serve(settings)


def start_logging() -> None:
    """Own messages to stderr, one line each; libraries only when something is wrong."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("adtally").setLevel(logging.INFO)
