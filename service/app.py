"""The application factory: routers, middleware, error handlers, lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import structlog
from fastapi import FastAPI

from service import discovery, health
from service.artifacts import endpoints as artifacts
from service.auth import endpoints as keys
from service.comparisons import endpoints as comparisons
from service.context import Context
from service.error_handlers import add_error_handlers
from service.exports import endpoints as exports
from service.jobs import control_endpoints as controls
from service.jobs import endpoints as jobs
from service.jobs import trajectory_endpoints as trajectories
from service.jobs import trajectory_stream_endpoints as trajectory_streams
from service.jobs.watching import Watcher
from service.metrics import endpoint as metrics
from service.metrics.http import HttpMetrics
from service.metrics.registry import Metrics
from service.middleware import RequestMiddleware
from service.openapi import add_openapi
from service.settings import Settings, read_settings
from service.termination import on_termination

log = structlog.get_logger(__name__)

DESCRIPTION = """Learn how to mix training data: give domains, get the mixture, its evidence and a
resampling manifest. Losses are in nats per token, sizes in tokens or bytes, times in UTC. Errors
are RFC 9457 problems with a `code` for programs and a `request_id` for the log."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; connections are made when it starts.

    Args:
        settings: None reads them from the environment.
    """
    chosen = settings or read_settings()
    http_metrics = HttpMetrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        context = Context.create(chosen)
        app.state.context = context
        shown = app.state.metrics = Metrics.create(chosen, http_metrics, context.reconciler)
        context.reconciler.start()
        context.notifications.start()
        watcher = app.state.watcher = Watcher(context.sessions)
        watcher.start()
        log.info("service_started")
        try:
            # Streams last for hours; a server that is told to end would wait for them.
            with on_termination(watcher.close):
                yield
        finally:
            await watcher.stop()
            context.notifications.stop()
            context.reconciler.stop()
            shown.close()
            context.close()
            log.info("service_stopped")

    app = FastAPI(
        title="Tandem",
        version=version("tandem-mix"),
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
    )
    for module in (
        jobs,
        controls,
        trajectories,
        trajectory_streams,
        exports,
        artifacts,
        comparisons,
        discovery,
        keys,
        health,
        metrics,
    ):
        app.include_router(module.router)
    add_error_handlers(app)
    app.add_middleware(
        RequestMiddleware, max_body_bytes=chosen.max_body_bytes, metrics=http_metrics
    )
    add_openapi(app)
    return app
