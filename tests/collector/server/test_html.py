"""The pages: worst first, everything of a host escaped, nothing loaded from elsewhere."""

import tomllib
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_collector.fleet.model import Coverage, Fleet, Reason, Verdict
from drift_collector.fleet.verdict import judge
from drift_collector.server.html import MAX_ROWS, fleet_page, instance_page, message_page
from reports import NOW, SECOND, drifted, item, report

SECTIONS = {"html", "head", "meta", "title", "style", "body", "div", "header", "h1", "h2", "main", "section"}
ALLOWED = SECTIONS | {
    *("a", "p", "ul", "li", "b", "span", "meter", "small", "code", "dl", "dt", "dd", "del", "ins", "pre", "i", "br"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
URL = "http://127.0.0.1:8087/"
HOSTILE = st.text(st.characters() | st.sampled_from("<>&\"'/\x00\x1b\u202e\udcff"), max_size=40)


class Page(HTMLParser):
    """What a browser sees: the elements, their attributes, the text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.data: list[str] = []
        self.feed(document)
        self.text = " ".join(self.data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert name in ("lang", "charset", "name", "content", "http-equiv", "class", "href", "title", "data-label",
                            "aria-current", "min", "max", "low", "optimum", "value")  # fmt: skip
            if name == "href":
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.data.append(data)


def test_the_fleet_is_listed_worst_first_with_counts_and_reasons() -> None:
    fleet = judge([report("i-fine"), drifted("i-bad"), report("i-old", time=NOW - 9000 * SECOND)], NOW)
    page = Page(fleet_page(fleet, NOW, URL))
    assert page.text.index("i-bad") < page.text.index("i-old") < page.text.index("i-fine")
    assert "3 instances" in page.text
    assert "1 modified" in page.text
    assert "2 of 3" in page.text
    assert "2h 30m ago" in page.text
    assert "/instance?name=i-bad" in page.links


def test_one_state_alone_is_listed_when_asked_and_all_are_counted() -> None:
    fleet = judge([report("i-fine"), drifted("i-bad")], NOW)
    page = Page(fleet_page(fleet, NOW, URL, "drifted"))
    assert "i-bad" in page.text
    assert "i-fine" not in page.text
    assert "2 instances" in page.text
    assert "No instance is stale." in Page(fleet_page(fleet, NOW, URL, "stale")).text


def test_an_empty_fleet_says_what_to_do() -> None:
    page = Page(fleet_page(judge([], NOW), NOW, "https://drift.example:99/"))
    assert "No agent has reported yet." in page.text
    *_, output = page.data
    assert tomllib.loads(output) == {"outputs": [{"url": "https://drift.example:99"}]}


def test_the_page_says_as_the_report_does_whose_word_counts() -> None:
    fleet = Fleet((), Coverage(0, 0), trusted_images=2, signatures_checked=True)
    assert "digests compared with 2 trusted manifests, signatures checked" in Page(fleet_page(fleet, NOW, URL)).text


def test_of_a_large_fleet_the_worst_are_listed_and_the_rest_counted() -> None:
    fleet = judge([report(f"i-{number:04}") for number in range(MAX_ROWS + 20)] + [drifted("i-bad")], NOW)
    document = fleet_page(fleet, NOW, URL)
    assert document.count("/instance?name=") == MAX_ROWS
    assert "i-bad" in document
    assert "and 21 more" in document


def test_an_instance_has_its_items_expected_against_actual_and_the_diff() -> None:
    (verdict,) = judge([drifted("i-1", modified=2)], NOW).verdicts
    one = item("i-1", "/etc/motd", expected={"mode": "0644"}, actual={"mode": "0600"}, diff="--- a\n-old\n+new\n same")
    document = instance_page(verdict, [one], NOW)
    assert "<del>0644</del> \u2192 <ins>0600</ins>" in document
    assert "<del>-old</del>\n<ins>+new</ins>\n same\n" in document
    assert "1 of 2 items have arrived." in document


@given(HOSTILE, HOSTILE, HOSTILE)
def test_nothing_that_a_host_says_becomes_markup_or_leaves_the_page(one: str, two: str, three: str) -> None:
    verdict = Verdict(
        one, "drifted", two, three, one, (Reason("drifted", two, "drifted"),), modified=1, last_seen=NOW, since=2**62
    )
    found = item(one, three, kind=one, change=two, path_class=three, severity=one, first_seen=2**62,
                 expected={one: two, "a": 1, "b": None}, actual={one: three, "c": True},
                 diff=f"+{one}\n-{two}\n{three}")  # fmt: skip
    for document in (
        fleet_page(Fleet((verdict,), Coverage(1, 1)), NOW, URL),
        instance_page(verdict, [found], NOW),
        message_page(one),
    ):
        document.encode()  # a page is UTF-8, whatever a host sent
        page = Page(document)
        assert set(page.tags) <= ALLOWED
        assert all(link == "/" or link.startswith(("/?", "/instance?name=")) for link in page.links)
        assert "\x1b" not in document
        assert "\u202e" not in document


@pytest.mark.parametrize("moment", [-(2**63), 0, 2**63 - 1])
def test_times_that_are_none_do_no_harm(moment: int) -> None:
    (verdict,) = judge([drifted("i-1", time=moment, since=moment)], NOW).verdicts
    assert instance_page(verdict, [item("i-1", first_seen=moment)], NOW)
