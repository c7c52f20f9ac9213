"""Which mounts stand below a root, and which of them the image brings."""

import os

import pytest

from drift_agent.errors import ConfigError
from drift_agent.image.mounts import (
    Mount,
    foreign,
    is_volatile,
    parse_fstab,
    parse_given,
    parse_mountinfo,
    parse_unsteady,
)

MOUNTINFO = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:5 / /proc rw - proc proc rw
30 22 254:1 / /boot rw,relatime shared:2 master:1 - vfat /dev/vda15 rw
31 22 0:40 / /srv/with\040space rw - tmpfs tmpfs rw
32 22 0:41 / /srvother rw - tmpfs tmpfs rw
broken line
"""


def test_mounts_are_told_as_paths_below_the_root() -> None:
    assert set(parse_mountinfo(MOUNTINFO, "/")) == {"/proc", "/boot", "/srv/with space", "/srvother"}
    assert parse_mountinfo(MOUNTINFO, "/srv") == {"/with space": Mount("/with space", "tmpfs", "tmpfs")}
    assert parse_mountinfo(MOUNTINFO, "/")["/boot"] == Mount("/boot", "vfat", "/dev/vda15")


def test_a_device_whose_file_system_has_no_ctime_of_its_own_is_unsteady() -> None:
    """FAT keeps none, tmpfs not always, /proc and user-space file systems make it up; an odd line is no mount."""
    more = "33 22 0:50 / /mnt rw - fuse.sshfs x rw\n34 22 x:1 / /x rw - vfat x rw\n35 22 0:51 / /x rw - xfs x rw\n"
    devices = {os.makedev(254, 1), *(os.makedev(0, minor) for minor in (5, 40, 41, 50))}
    assert parse_unsteady(MOUNTINFO + more) == devices


def test_a_fstab_names_the_images_own_mounts() -> None:
    text = "# c\nUUID=1 / ext4 defaults 0 1\nUUID=2 /boot/efi/ vfat x 0 1\n/swap none swap sw 0 0\nx /my\\040disk xfs\n"
    assert parse_fstab(text) == {"/": "ext4", "/boot/efi": "vfat", "/my disk": "xfs"}


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/data", ("/data", "")),
        ("/data/=xfs", ("/data", "xfs")),
        ("/=overlay", ("/", "overlay")),
        ("/a=b/c", ("/a=b/c", "")),
        ("/a=b=tmpfs", ("/a=b", "tmpfs")),
    ],
)
def test_a_given_mount_may_say_its_type(text: str, mount: tuple[str, str]) -> None:
    assert parse_given(text) == mount


@pytest.mark.parametrize("text", ["", "data", "=tmpfs"])
def test_a_given_mount_is_a_path_in_the_image(text: str) -> None:
    with pytest.raises(ConfigError, match="PATH=TYPE"):
        parse_given(text)


@pytest.mark.parametrize(
    ("mounts", "volatile"),
    [
        ({}, False),
        ({"/": "ext4"}, False),
        ({"/": "overlay"}, True),
        ({"/var/lib/driftline": "tmpfs"}, True),
        ({"/var": "tmpfs"}, True),
        ({"/var": "tmpfs", "/var/lib": "ext4"}, False),
        ({"/var": "ext4", "/var/lib/driftline": "overlay"}, True),
        ({"/var": ""}, False),
        ({"/var/lib/driftline/deeper": "tmpfs", "/var/lib/drift": "tmpfs"}, False),
    ],
)
def test_the_innermost_mount_says_what_outlives_a_boot(mounts: dict[str, str], volatile: bool) -> None:
    assert is_volatile("/var/lib/driftline", mounts) is volatile


def test_what_the_image_does_not_bring_is_foreign() -> None:
    assert set(foreign(parse_mountinfo(MOUNTINFO, "/"), ("/boot", "/proc"))) == {"/srv/with space", "/srvother"}
