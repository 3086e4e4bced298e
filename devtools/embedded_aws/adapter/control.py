"""What a test asks of the embedded AWS itself: ``POST /_embedded_aws/<name>`` with the arguments as JSON."""

# ruff: noqa: ANN401 - ASGI has no types

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "/_embedded_aws/"
_routes: dict[str, Callable[..., Any]] = {}


def route(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Answer ``name`` with what the function returns."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _routes[name] = function
        return function

    return register


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request below ``PATH``."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    function = _routes.get(scope["path"].removeprefix(PATH))
    status, result = (200, function(**json.loads(body or b"{}"))) if function else (404, "no such route")
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(result).encode()})
