"""The role and the playbook, run against a Debian root through the chroot connection, as an image build would."""

import hashlib
import stat
import sys
import tomllib
from pathlib import Path

import pytest

import product
from baked import AS_THE_AGENT, MANIFEST, Image
from drift_agent.image.content import Contents
from drift_collector.images import load_trusted

pytestmark = pytest.mark.slow


def test_the_second_run_changes_nothing(image: Image) -> None:
    first, second = image.changed
    assert first > 0
    assert second == 0


def test_the_image_equals_its_manifest(image: Image) -> None:
    checked = image.check()
    assert checked.returncode == 0, checked.stdout
    assert "web@42" in checked.stdout


def test_the_agent_s_user_sees_what_root_baked(image: Image) -> None:
    """With CAP_DAC_READ_SEARCH alone nothing is unreadable, and nothing looks different."""
    checked = image.check(prefix=AS_THE_AGENT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_whoever_checks_from_outside_finds_the_same(image: Image) -> None:
    drift = Path(sys.executable).parent / "drift"
    product.run(str(drift), "image", "check", "--root", str(image.root), "--manifest", str(image.root / MANIFEST))


def test_a_changed_file_is_found(image: Image) -> None:
    file = image.root / "etc" / "issue"
    before = file.read_bytes()
    file.write_bytes(b"changed\n")
    try:
        checked = image.check()
        assert checked.returncode == 2
        assert "/etc/issue" in checked.stdout
    finally:
        file.write_bytes(before)


def test_the_trusted_copy_is_signed_and_the_key_stays_outside(image: Image) -> None:
    public = image.manifests / "key.public"
    (trusted,) = load_trusted(str(image.manifests), str(public)).values()
    assert (trusted.image, trusted.signature) == ("web@42", "good")
    copy = image.manifests / "web@42.jsonl"
    assert copy.read_bytes() == (image.root / MANIFEST).read_bytes()
    signature = image.root / f"{MANIFEST}.sig"
    assert signature.read_bytes() == Path(f"{copy}.sig").read_bytes()
    assert stat.S_IMODE(signature.stat().st_mode) == 0o644
    secret = (image.manifests / "key.private").read_bytes()
    folders = [image.root / name for name in ("etc/driftline", "usr/lib/driftline", "tmp", "root", "var/tmp")]
    assert not [
        path for folder in folders for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()
    ]


def test_the_image_keeps_its_texts_for_diffs_and_only_root_lists_them(image: Image) -> None:
    content = image.root / "usr/lib/driftline/content"
    assert (content.stat().st_uid, stat.S_IMODE(content.stat().st_mode)) == (0, 0o700)
    baked = Contents(str(content)).get(hashlib.sha256((image.root / "etc/issue").read_bytes()).hexdigest())
    assert baked == (image.root / "etc/issue").read_bytes()


def test_the_configuration_is_what_the_variables_say(image: Image) -> None:
    text = (image.root / "etc/driftline/agent.toml").read_text()
    assert tomllib.loads(text) == {
        "agent": {"group": "web", "report_interval": "2s"},
        "metrics": {"disable": ["swap"], "disk": {"interval": "30s"}},
        "outputs": [{"url": "http://127.0.0.1:8086", "token_file": "/run/driftline/token"}],
    }
    assert image.run(*AS_THE_AGENT, "/usr/local/bin/drift-agent", "config", "check").returncode == 0


def test_the_unit_starts_at_boot_and_belongs_to_a_user_of_its_own(image: Image) -> None:
    wanted = image.root / "etc/systemd/system/multi-user.target.wants/driftline-agent.service"
    assert wanted.readlink() == Path("/etc/systemd/system/driftline-agent.service")
    account = image.run("getent", "passwd", "driftline").stdout.split(":")
    assert account[6].strip() == "/usr/sbin/nologin"
    assert 0 < int(account[2]) < 1000


def test_nothing_is_left_of_the_installation(image: Image) -> None:
    assert list((image.root / "tmp").iterdir()) == []
    assert not (image.root / "root" / ".ansible").exists()
    assert not (image.root / "var/lib/driftline/state.db").exists()
