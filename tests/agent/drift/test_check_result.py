"""What a result says of the manifest that it was made with, and when it says nothing."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from drift_agent.drift.check_result import CheckResult
from drift_agent.model import Change, ChangeKind, Unreadable

FROZEN = Change("file", "/etc/motd", "modified")
SEALED = Change("file", "/etc/hostname", "modified", "sealed")
MOUNT = Change("mount", "/etc/cron.d", "added")


def result(
    *changes: Change,
    observed: str = "seen",
    omitted: Mapping[ChangeKind, int] = MappingProxyType({}),
    unreadable: bool = False,
) -> CheckResult:
    unread = [Unreadable("file", "/x", "Permission denied")] if unreadable else []
    return CheckResult([*changes], 3, unread, [], observed, 0.1, omitted=omitted)


@pytest.mark.parametrize(
    ("found", "digest"),
    [(result(), "seen"), (result(SEALED), "seen"), (result(FROZEN), "baked"), (result(FROZEN, SEALED), "baked")],
)
def test_items_that_equal_or_differ_as_the_digests_do_are_believed(found: CheckResult, digest: str) -> None:
    assert not found.belies(digest)


@pytest.mark.parametrize(
    ("found", "digest"), [(result(), "baked"), (result(SEALED), "baked"), (result(FROZEN), "seen")]
)
def test_a_manifest_whose_items_say_another_thing_than_its_digest_is_not(found: CheckResult, digest: str) -> None:
    assert found.belies(digest)


@pytest.mark.parametrize(
    "found", [result(MOUNT), result(unreadable=True), result(SEALED, omitted={"added": 1}), result(observed="")]
)
def test_who_did_not_see_everything_cannot_tell(found: CheckResult) -> None:
    assert not found.belies("baked")
    assert not found.belies("seen")
