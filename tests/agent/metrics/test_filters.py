"""Which names are looked at."""

from drift_agent.metrics import filters
from drift_agent.metrics.filters import NameFilter


def test_everything_is_allowed_where_nothing_is_said() -> None:
    assert NameFilter().allows("eth0")


def test_only_and_ignore_are_shell_patterns_of_the_whole_name() -> None:
    wanted = NameFilter(only=["eth*", "ens?"], ignore=["eth1"])
    assert [name for name in ("eth0", "eth1", "ens5", "ens55", "xeth0") if wanted.allows(name)] == ["eth0", "ens5"]


def test_names_without_end_are_forgotten() -> None:
    wanted = NameFilter(ignore=["veth*"])
    for number in range(filters.MAX_REMEMBERED * 2):
        assert not wanted.allows(f"veth{number}")
    assert len(wanted._decided) <= filters.MAX_REMEMBERED
