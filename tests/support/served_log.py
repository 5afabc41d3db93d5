"""Published logs over real connections: the service's own, and a folder behind a file server."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from scripts.chainless.application import DEPLOYMENT
from scripts.chainless.world import CAMPAIGN

from adtally.api.application import create_application
from adtally.api.service import Service
from adtally.settlement.claim_tree import ClaimTree
from adtally.settlement.machine import LogMachine
from adtally.storage.repositories.statements import add_statement
from adtally.storage.rows import DraftReason
from adtally.types import Counts, Statement
from support.sockets import serving


@asynccontextmanager
async def served(service: Service) -> AsyncIterator[str]:
    """The address of a service that answers on a port."""
    app = create_application(service, with_virtual_clock=True)
    async with serving(app) as (port, _):
        yield f"http://127.0.0.1:{port}"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@contextmanager
def file_server(directory: Path) -> Iterator[str]:
    """The address of a plain file server: Python's own, which knows nothing of logs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def draft_statement(service: Service, sequence: int) -> None:
    """What the campaign owes now, as the service's next statement."""

    def draft(machine: LogMachine) -> Any:
        return machine.accruals.lines(CAMPAIGN)

    lines = await service.sequencer.read(draft)
    tree = ClaimTree(DEPLOYMENT.escrow_domain, CAMPAIGN, lines)
    total = sum(line.amount_base_units for line in lines)
    impressions = sum(line.counts.impressions for line in lines)
    size = service.sequencer.tree.size
    counts = Counts(impressions, 0, 0, 0)
    statement = Statement(CAMPAIGN, sequence, size, total, counts, 0, tree.root, False)
    async with service.database.transaction() as session:
        await add_statement(session, statement, lines, DraftReason.THRESHOLD, 1)
