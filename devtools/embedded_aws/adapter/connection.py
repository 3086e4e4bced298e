"""Serving, and what is known of the connection a request came over."""

# ruff: noqa: ANN401 - ASGI has no types

from __future__ import annotations

import asyncio
import ssl
import warnings
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import hypercorn.asyncio.run
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config

from . import control, outages

if TYPE_CHECKING:
    from contextvars import Token
    from pathlib import Path

_tls_version: ContextVar[str | None] = ContextVar("tls_version", default=None)


def tls_version() -> str | None:
    """The TLS version of the request's connection as ``s3:TlsVersion`` writes it, or None over plain HTTP."""
    return _tls_version.get()


def assume_tls_version(version: str) -> Token[str | None]:
    """Let ``tls_version`` answer this until it's forgotten: for what a service does when a request is done."""
    return _tls_version.set(version)


def forget_tls_version(token: Token[str | None]) -> None:
    """Let ``tls_version`` answer as before."""
    _tls_version.reset(token)


def serve(app: Any, *, https_socket: int, http_socket: int, certificate: Path) -> None:
    """Serve ``app`` over HTTPS and HTTP, on two sockets already bound."""
    config = _Config()
    config.bind = [f"fd://{https_socket}"]
    config.insecure_bind = [f"fd://{http_socket}"]
    config.certfile = config.keyfile = str(certificate)
    config.keep_alive_timeout = 75

    async def trusting_only_the_connection(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(control.PATH):
            await control.answer(scope, receive, send)
            return
        if await outages.refuse(scope, send):
            return
        # MiniStack would believe a client that claims to have come over TLS.
        if "headers" in scope:
            scope["headers"] = [header for header in scope["headers"] if header[0].lower() != b"x-forwarded-proto"]
        await app(scope, receive, send)

    asyncio.run(hypercorn_serve(trusting_only_the_connection, config))


class _Config(Config):  # type: ignore[misc]
    """Accepts TLS 1.1 as well, where OpenSSL has it, so that a policy that refuses it can be seen to refuse it."""

    alpn_protocols = ("http/1.1",)

    def create_ssl_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1_1 if ssl.HAS_TLSv1_1 else ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(list(self.alpn_protocols))
        context.load_cert_chain(self.certfile)
        return context


class _Server(TCPServer):  # type: ignore[misc]
    """Notes the connection's TLS version where the request's own code can read it."""

    async def run(self) -> None:
        connection = self.writer.get_extra_info("ssl_object")
        _tls_version.set(connection.version().removeprefix("TLSv") if connection else None)
        await super().run()


def tls_version_is_read_from_the_connection() -> None:
    """Gap: MiniStack knows no ``s3:TlsVersion``; here it is what the client and the server really negotiated."""
    hypercorn.asyncio.run.TCPServer = _Server


PATCHES = (tls_version_is_read_from_the_connection,)
