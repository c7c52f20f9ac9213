"""One baked image for all tests of this folder: making it takes a minute or two."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from baked import Image, bake


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[Image]:
    baked = bake(tmp_path_factory.mktemp("image"), wheel)
    yield baked
    shutil.rmtree(baked.root)
