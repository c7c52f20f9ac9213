"""The pages as a browser asks for them: with a token, a policy, and an answer for each fault."""

import base64
import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from drift_agent.errors import InputError
from drift_collector.server.collector import Collector, Options
from drift_collector.store.tokens import Tokens
from reports import NOW, SECOND, item, report
from stores import lines
from waiting import PATIENCE


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture
def collector(database: str) -> Iterator[Collector]:
    with Collector(Options(database, port=0)) as collector:
        now = time.time_ns()
        sent = [
            report("i-1", time=now, scan_at=now - SECOND),
            report("a/b&c", time=now, state="drifted", modified=1, report=now),
        ]
        body = lines(sent, [item("a/b&c", "/etc/<motd>", time=now, report=now)])
        assert requests.post(collector.url + "/write", data=body, timeout=PATIENCE).status_code == 204
        yield collector


def test_the_page_leads_to_each_instance(collector: Collector) -> None:
    answer = requests.get(collector.url + "/", timeout=PATIENCE)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    (link,) = re.findall(r'href="(/instance\?name=a[^"]*)"', answer.text)
    shown = requests.get(collector.url + link, timeout=PATIENCE)
    assert shown.status_code == 200
    assert "/etc/&lt;motd&gt;" in shown.text
    assert ">drifted<" in shown.text


def test_one_state_can_be_asked_for_and_nonsense_is_all_of_them(collector: Collector) -> None:
    assert "i-1" not in requests.get(collector.url + "/?state=drifted", timeout=PATIENCE).text
    assert "i-1" in requests.get(collector.url + "/?state=<b>", timeout=PATIENCE).text


def test_an_empty_fleet_is_told_the_address_at_which_it_was_asked_for(database: str) -> None:
    with Collector(Options(database, port=0)) as collector:
        assert f'url = "{collector.url}"' in requests.get(collector.url, timeout=PATIENCE).text


def test_an_instance_that_never_reported_is_not_found(collector: Collector) -> None:
    answer = requests.get(collector.url + "/instance?name=<i>", timeout=PATIENCE)
    assert answer.status_code == 404
    assert "&lt;i&gt; has never reported here." in answer.text


def test_the_policy_allows_the_pages_own_style_and_nothing_else(collector: Collector) -> None:
    answer = requests.get(collector.url + "/", timeout=PATIENCE)
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_where_tokens_are_demanded_a_browser_is_asked_for_a_read_token(database: str) -> None:
    with Collector(Options(database, port=0, require_tokens=True)) as collector:
        tokens = Tokens(database)
        _, reader = tokens.add("read", "", NOW)
        _, writer = tokens.add("write", "", NOW)
        tokens.close()
        for path in ("/", "/instance?name=i-1"):
            nobody = requests.get(collector.url + path, timeout=PATIENCE)
            assert nobody.status_code == 401
            assert nobody.headers["WWW-Authenticate"].startswith("Basic ")
            assert requests.get(collector.url + path, auth=("", writer), timeout=PATIENCE).status_code == 403
        assert requests.get(collector.url + "/", auth=("", reader), timeout=PATIENCE).status_code == 200


def test_a_fault_behind_the_page_is_said_on_it(database: str) -> None:
    def trusted() -> None:
        raise InputError("/manifests: cannot be read: it is gone")

    with Collector(Options(database, port=0), trusted=trusted) as collector:
        answer = requests.get(collector.url + "/", timeout=PATIENCE)
        assert answer.status_code == 503
        assert "/manifests: cannot be read: it is gone" in answer.text
