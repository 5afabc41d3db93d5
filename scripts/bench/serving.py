"""What the bench's servers share: uvicorn, as the service runs it, on a free port."""

from __future__ import annotations

from typing import Any

import uvicorn

from adtally.api.hit_protocol import HitProtocol
from adtally.intake.memory import spare_long_lived_objects


async def serve_on_free_port(application: Any) -> None:
    """Print the port, then serve an ASGI application until the process is killed."""
    config = uvicorn.Config(
        application,
        port=0,
        access_log=False,
        log_level="error",
        lifespan="off",
        http=HitProtocol,
        proxy_headers=False,
        # A server that stood still for 5 s on a busy machine would close connections whose next
        # request is there already.
        timeout_keep_alive=75,
    )
    spare_long_lived_objects()
    listening = config.bind_socket()
    listening.listen()
    print(listening.getsockname()[1], flush=True)
    await uvicorn.Server(config).serve(sockets=[listening])
