"""Services that are shut off in a Region, so that failing over can be tried."""

# ruff: noqa: ANN401 - ASGI has no types

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from . import control

if TYPE_CHECKING:
    from collections.abc import Callable

_off: set[tuple[str, str]] = set()
_afterwards: list[Callable[[], None]] = []

_CODE = "ServiceUnavailable"
_MESSAGE = "The embedded AWS has shut this service off in this Region."
# AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, in the header or, percent-encoded, in the query
_SCOPE = re.compile(r"Credential=[^/&, ]+/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")


def is_off(service: str, region: str) -> bool:
    """Whether the service (its signing name) is shut off in the Region."""
    return (service, region) in _off


def afterwards(function: Callable[[], None]) -> None:
    """Call the function when anything is restored."""
    _afterwards.append(function)


async def refuse(scope: Any, send: Any) -> bool:
    """Answer 503 to a request for what is shut off; whether that was done."""
    if not _off or scope["type"] != "http":
        return False
    headers = dict(scope["headers"])
    signed = headers.get(b"authorization", b"").decode("latin-1") or unquote(scope["query_string"].decode("latin-1"))
    found = _SCOPE.search(signed)
    if not found or not is_off(found[2], found[1]):
        return False
    kind, body = _error(found[2], headers.get(b"content-type", b""))
    answer = [(b"content-type", kind), (b"x-amzn-errortype", _CODE.encode())]
    await send({"type": "http.response.start", "status": 503, "headers": answer})
    await send({"type": "http.response.body", "body": body.encode()})
    return True


def _error(service: str, asked_in: bytes) -> tuple[bytes, str]:
    """The error in the service's protocol."""
    error = f"<Error><Code>{_CODE}</Code><Message>{_MESSAGE}</Message></Error>"
    if service == "s3":
        return b"application/xml", error
    if asked_in.startswith(b"application/x-www-form-urlencoded"):
        return b"text/xml", f"<ErrorResponse>{error}</ErrorResponse>"
    return b"application/json", json.dumps({"__type": _CODE, "message": _MESSAGE})


@control.route("shut-off")
def _shut_off(service: str, region: str) -> None:
    _off.add((service, region))


@control.route("restore")
def _restore(service: str, region: str) -> None:
    _off.discard((service, region))
    for function in _afterwards:
        function()
