"""Security headers for all HTTP responses."""

from typing import Any

# Gradio needs inline scripts and evaluates the code of its HTML components. All scripts may load
# from and connect to this server only.
PAGE_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    ]
)
# An uploaded file may be a page with scripts.
FILE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
_FILES = ("/gradio_api/file", "/gradio_api/stream")


class SecurityHeaders:
    """ASGI middleware that adds security headers to every HTTP response, including errors."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = FILE_POLICY if scope["path"].startswith(_FILES) else PAGE_POLICY
        added = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"SAMEORIGIN"),
            (b"referrer-policy", b"no-referrer"),
            (b"permissions-policy", b"camera=(), geolocation=(), microphone=(self)"),
        ]
        ours = {name for name, _ in added}

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                others = [(k, v) for k, v in message.get("headers", []) if k.lower() not in ours]
                message = {**message, "headers": [*others, *added]}
            await send(message)

        await self._app(scope, receive, sending)
