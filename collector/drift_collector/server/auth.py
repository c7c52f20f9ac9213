"""Who asks, and what they may. Every way in which InfluxDB's clients show a token is understood."""

import base64
import binascii
import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from drift_collector.store.tokens import Scope, Tokens

REALM: Final = {"WWW-Authenticate": 'Basic realm="driftline", charset="UTF-8"'}


class AccessError(Exception):
    """A request that may not; `status` is the answer's: 401, 403 or 421."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Access:
    """The server's rule. Where tokens are not demanded (loopback), one that is shown must still be right."""

    tokens: Tokens
    demanded: bool

    def grant(self, request: Request, scope: Scope) -> str:
        """Lets the request in, for writing or reading; returns the instance that it is bound to, or "".

        Raises:
            AccessError: it may not.
        """
        secret = shown_token(request)
        if not secret:
            if self.demanded:
                raise AccessError(401, "authorization failed: this server demands a token")
            _check_local(request)
            return ""
        token = self.tokens.find(secret)
        if token is None:
            raise AccessError(401, "authorization failed: the token is not known here")
        if token.scope != scope:
            raise AccessError(403, f"forbidden: a {token.scope} token cannot {scope}")
        return token.instance


def shown_token(request: Request) -> str:
    """The token of a request: `Token`, `Bearer`, Basic (as password), or the parameter `p`; "" where there is none."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("token", "bearer"):
        return value.strip()
    if scheme.lower() == "basic":
        try:
            _, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "unreadable"
        return password
    return request.query_params.get("p", "")


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_local(request: Request) -> None:
    """Keeps out what a browser was talked into: pages of other sites, and names that were bent to point here."""
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        host = ""
    if not is_loopback(host):
        raise AccessError(421, "without tokens only requests to localhost are served; add tokens, or ask for 127.0.0.1")
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise AccessError(403, "forbidden: a page of another site may not ask here")
