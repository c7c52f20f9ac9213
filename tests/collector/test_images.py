"""The folder of trusted manifests."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from drift_agent.errors import ConfigError, InputError, ManifestError
from drift_agent.image import sign
from drift_agent.image.header import Header
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy
from drift_collector import images
from drift_collector.fleet.model import Trusted
from drift_collector.images import load_trusted

DIGEST = "1:sha256:" + "a" * 64
OTHER = "1:sha256:" + "b" * 64


def header(image: str, version: str, digest: str = DIGEST) -> Header:
    return Header(image=image, version=version, policy=Policy(()), digest=digest, length=0, counts={})


def test_every_manifest_below_the_folder_counts_by_its_stamp(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    web, db = header("web", "1.2"), header("db", "", OTHER)
    (tmp_path / "web" / "1.2.jsonl").write_bytes(web.encode())
    (tmp_path / "db.jsonl").write_bytes(db.encode())
    (tmp_path / "db.jsonl.sig").write_bytes(b"not a manifest")
    assert load_trusted(str(tmp_path)) == {
        "web@1.2": Trusted("web@1.2", DIGEST, web.policy_digest),
        "db": Trusted("db", OTHER, db.policy_digest),
    }


def test_a_copy_is_no_conflict_but_two_bakes_of_one_image_are(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(header("web", "1").encode())
    (tmp_path / "b.jsonl").write_bytes(header("web", "1").encode())
    assert list(load_trusted(str(tmp_path))) == ["web@1"]
    (tmp_path / "c.jsonl").write_bytes(header("web", "1", OTHER).encode())
    with pytest.raises(ConfigError, match=r"c\.jsonl and .*a\.jsonl are both of image web@1"):
        load_trusted(str(tmp_path))


def test_an_empty_or_missing_folder_is_a_mistake_not_a_fleet_of_strangers(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no manifest"):
        load_trusted(str(tmp_path))
    with pytest.raises(ConfigError, match="is no folder"):
        load_trusted(str(tmp_path / "nowhere"))


class TestSignatures:
    @pytest.fixture
    def keys(self, tmp_path: Path) -> tuple[str, str]:
        private, public = str(tmp_path / "key"), str(tmp_path / "key.pub")
        sign.keygen(private, public)
        return private, public

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "trusted"
        folder.mkdir()
        (folder / "web.jsonl").write_bytes(header("web", "1").encode())
        return folder

    def signature(self, folder: Path, public: str | None) -> str:
        (trusted,) = load_trusted(str(folder), public).values()
        return trusted.signature

    def test_without_a_key_none_is_asked_for(self, folder: Path) -> None:
        assert self.signature(folder, None) == ""

    def test_with_a_key_each_must_bear_one_that_fits(self, folder: Path, keys: tuple[str, str]) -> None:
        private, public = keys
        manifest = folder / "web.jsonl"
        assert self.signature(folder, public) == "missing"
        sign.sign(str(manifest), private)
        assert self.signature(folder, public) == "good"
        manifest.write_bytes(header("web", "1", OTHER).encode())
        assert self.signature(folder, public) == "bad"

    def test_an_unsigned_manifest_never_stands_in_for_a_signed_one(self, folder: Path, keys: tuple[str, str]) -> None:
        private, public = keys
        sign.sign(str(folder / "web.jsonl"), private)
        for name in ("a.jsonl", "z.jsonl"):
            (folder / name).write_bytes(header("web", "1", OTHER).encode())
        (trusted,) = load_trusted(str(folder), public).values()
        assert (trusted.digest, trusted.signature) == (DIGEST, "good")

    @pytest.mark.parametrize("in_place", [True, False])
    def test_what_is_verified_is_what_was_read(
        self, folder: Path, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch, *, in_place: bool
    ) -> None:
        """Who can write to the folder shows one manifest to the reader, and the genuine one to the signature."""
        manifest, genuine = folder / "web.jsonl", (folder / "web.jsonl").read_bytes()
        sign.sign(str(manifest), keys[0])
        manifest.write_bytes(header("web", "1", OTHER).encode())
        opened = Manifest.open

        def open_then_swap(path: str) -> Manifest:
            found = opened(path)
            if not in_place:
                manifest.unlink()
            manifest.write_bytes(genuine)
            return found

        monkeypatch.setattr(Manifest, "open", open_then_swap)
        assert self.signature(folder, keys[1]) == "bad"

    def test_a_malformed_key_is_named(self, folder: Path, keys: tuple[str, str]) -> None:
        sign.sign(str(folder / "web.jsonl"), keys[0])
        with pytest.raises(InputError, match="web"):
            load_trusted(str(folder), str(folder / "web.jsonl"))


class TestAskedAgain:
    @pytest.fixture
    def loads(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """One entry for each time that the manifests were read."""
        seen: list[str] = []

        def load(folder: str, public_key: str | None = None) -> Mapping[str, Trusted]:
            seen.append(folder)
            return load_trusted(folder, public_key)

        monkeypatch.setattr(images, "load_trusted", load)
        return seen

    def test_manifests_are_read_again_only_when_something_changed(self, tmp_path: Path, loads: list[str]) -> None:
        folder, private, public = tmp_path / "trusted", str(tmp_path / "key"), str(tmp_path / "key.pub")
        folder.mkdir()
        sign.keygen(private, public)
        (folder / "web.jsonl").write_bytes(header("web", "1").encode())
        trusted = images.TrustedFolder(str(folder), public)
        assert [trusted()["web@1"].signature for _ in range(3)] == ["missing"] * 3
        sign.sign(str(folder / "web.jsonl"), private)
        assert [trusted()["web@1"].signature for _ in range(3)] == ["good"] * 3
        (folder / "db.jsonl").write_bytes(header("db", "1").encode())
        assert list(trusted()) == ["db@1", "web@1"]
        assert len(loads) == 3

    def test_a_mistake_is_said_each_time_until_it_is_mended(self, tmp_path: Path, loads: list[str]) -> None:
        manifest = tmp_path / "web.jsonl"
        manifest.write_bytes(header("web", "1").encode())
        trusted = images.TrustedFolder(str(tmp_path))
        trusted()
        manifest.write_text("{}\n")
        for _ in range(2):
            with pytest.raises(ManifestError):
                trusted()
        manifest.write_bytes(header("web", "2").encode())
        assert list(trusted()) == ["web@2"]


def test_a_malformed_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(ManifestError, match=r"bad\.jsonl"):
        load_trusted(str(tmp_path))
