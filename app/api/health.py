"""Liveness and metrics."""

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.hub import Hub


def health_router(hub: Hub) -> APIRouter:
    """`/healthz` (unauthenticated) and `/metrics`."""
    router = APIRouter()

    @router.get("/healthz")
    def healthz() -> dict[str, Any]:
        return {"status": "ok", "sessions": hub.num_live}

    @router.get("/metrics")
    def metrics() -> Response:
        return Response(hub.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
