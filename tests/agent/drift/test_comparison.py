"""The image and the machine side by side: what a real root is compared with, and when what runs is looked at."""

from pathlib import Path
from threading import Thread

import pytest

from checked import bake_root, make_root
from drift_agent.drift import comparison
from drift_agent.drift.check import check_tree
from drift_agent.drift.comparison import MANIFEST, ImageComparison
from drift_agent.drift.runtime.fact import Observation
from drift_agent.image import batches
from drift_agent.image.hash_helper import HashHelper
from drift_agent.image.hash_worker import BATCH
from drift_agent.model import Change, Unreadable
from trees import bake_tree, make_tree


def test_what_runs_is_looked_at_where_the_root_is_this_machines_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree that lies somewhere runs nothing: the sockets and modules of who looks at it are none of its."""
    seen = Observation([], [Unreadable("socket", "listening", "cannot be read")])
    monkeypatch.setattr(comparison, "gather", lambda _: seen)
    root = make_root(tmp_path)
    with bake_root(root) as manifest:
        assert ImageComparison(str(root), manifest).runtime() == Observation([], [])
        assert ImageComparison("/", manifest).runtime() is seen
        assert ImageComparison("/etc/..", manifest).runtime() is seen


def test_the_manifest_itself_is_a_sealed_item_that_changes_with_every_byte_of_it(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    with bake_root(root) as manifest:
        first = _itself(ImageComparison(str(root), manifest))
        path = Path(manifest.path)
        path.write_bytes(path.read_bytes().replace(b'"hostname":"golden"', b'"hostname":"forged"'))
        assert _itself(ImageComparison(str(root), manifest)).actual != first.actual
        assert (first.key, first.path_class, first.severity) == (manifest.path, "sealed", "high")


def test_a_folder_that_nothing_below_is_compared_of_is_ignored(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    with bake_root(root) as manifest:
        compared = ImageComparison(str(root), manifest)
        assert not compared.is_ignored("/etc")
        assert not compared.is_ignored("/tmp"), "the folder itself is frozen"
        assert compared.is_ignored("/tmp/below")


def test_an_agent_looks_at_everything_on_one_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others belong to whom the machine is there for; who waits for a check has them all."""
    monkeypatch.setattr(batches, "START_AFTER", 0)
    started: list[str] = []
    monkeypatch.setattr(HashHelper, "start", lambda _: started.append("process"))
    monkeypatch.setattr(Thread, "start", lambda thread: started.append(thread.name))
    monkeypatch.setattr(Thread, "join", lambda _: None)
    root = make_tree(tmp_path / "root", {str(number): "x" for number in range(2 * BATCH)})
    with bake_tree(root, tmp_path / "manifest.jsonl") as manifest:
        started.clear()
        ImageComparison(str(root), manifest).tree(lambda _: None, lambda _: None, rehash=True)
        assert started == []
        check_tree(str(root), manifest)
        assert set(started) == {"process", "hasher"}


def _itself(compared: ImageComparison) -> Change:
    result = compared.tree(lambda _: None, lambda _: None, rehash=False)
    (found,) = [change for change in result.changes if change.kind == MANIFEST]
    return found
