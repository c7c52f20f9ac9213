"""nginx: what the server is doing. Source: ngx_http_stub_status_module, over HTTP."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from drift_agent.config import as_http_url, as_texts, option
from drift_agent.metrics.metric import Context, Gatherer, Metric, MetricOptions
from drift_agent.model import FieldValue, Point
from drift_agent.schema import Measurement, fields

NGINX: Final = Measurement(
    "nginx",
    "Connections and requests of an nginx, since its start or now.",
    ("server", "port"),
    fields("i", "1", "accepts active handled reading requests waiting writing"),
)
_TIMEOUT: Final = 2.0
_MAX_BYTES: Final = 4096
_STATUS: Final = re.compile(
    rb"Active connections:\s*(?P<active>\d{1,18})\s+server accepts handled requests[^\n]*\s+"
    rb"(?P<accepts>\d{1,18})\s+(?P<handled>\d{1,18})\s+(?P<requests>\d{1,18})[^\n]*\s+"
    rb"Reading:\s*(?P<reading>\d{1,18})\s+Writing:\s*(?P<writing>\d{1,18})\s+Waiting:\s*(?P<waiting>\d{1,18})"
)


def _as_urls(value: object) -> tuple[str, ...]:
    return tuple(as_http_url(url) for url in as_texts(value))


@dataclass(frozen=True, slots=True)
class NginxOptions(MetricOptions):
    """`[metrics.nginx]`"""

    urls: tuple[str, ...] = option(("http://127.0.0.1/nginx_status",), _as_urls, "addresses of stub_status pages")


def parse_status(body: bytes) -> dict[str, FieldValue]:
    """The fields of `nginx` from a stub_status page.

    Raises:
        ValueError: it is none.
    """
    match = _STATUS.match(body.lstrip())
    if match is None:
        raise ValueError("the answer is no stub_status page; give its address in [metrics.nginx] urls")
    return {name: int(number) for name, number in match.groupdict().items()}


def make(options: NginxOptions, _: Context) -> Gatherer:
    import requests  # only here: it is 16 MB

    session = requests.Session()
    session.trust_env = False  # no proxy and no .netrc between us and our own machine

    def fetch(url: str) -> bytes:
        with session.get(url, timeout=_TIMEOUT, stream=True, allow_redirects=False) as answer:
            answer.raise_for_status()
            return answer.raw.read(_MAX_BYTES, decode_content=True) or b""

    def gather(time: int, _: float) -> Iterable[Point]:
        problems = []
        for url in options.urls:
            parts = urlsplit(url)
            port = str(parts.port or (443 if parts.scheme == "https" else 80))
            try:
                values = parse_status(fetch(url))
            except (requests.ConnectionError, requests.Timeout):  # its text is a chain of representations
                problems.append(
                    f"{url}: nothing answers there; give the address of stub_status in [metrics.nginx] urls"
                )
                continue
            except (OSError, ValueError) as error:  # every error of requests is an OSError
                problems.append(f"{url}: {error}")
                continue
            yield Point("nginx", {"server": parts.hostname or "", "port": port}, values, time)
        if problems:
            raise OSError("; ".join(problems))

    return gather


METRIC: Final = Metric("nginx", make, (NGINX,), NginxOptions)
