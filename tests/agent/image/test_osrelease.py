"""What a root tree says of itself."""

from pathlib import Path

from drift_agent.image import osrelease
from trees import Link, make_tree

CLOUD_CFG = """users:
   - default

system_info:
   # This will affect which distro class gets used
   distro: debian
   default_user:
     name: debian
     lock_passwd: True
     groups: [adm, sudo]
"""


def test_the_distribution_decides_the_profile(tmp_path: Path) -> None:
    for name, text, profile in [
        ("d", 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\nVERSION_ID="12"\n', "debian"),
        ("u", "ID=ubuntu\n", "ubuntu"),
        ("a", 'ID="amzn"\n', "amazon-linux"),
        ("x", "ID=arch\n", "generic"),
        ("b", 'ID="unclosed\n', "generic"),
    ]:
        make_tree(tmp_path / name, {"usr/lib/os-release": text, "etc/os-release": Link("../usr/lib/os-release")})
        assert osrelease.profile_of(str(tmp_path / name)) == profile
    assert osrelease.profile_of(str(tmp_path / "none")) == "generic"


def test_links_of_a_root_are_followed_within_it(tmp_path: Path) -> None:
    make_tree(tmp_path, {"etc/os-release": Link("/usr/lib/os-release"), "usr/lib/os-release": "ID=debian\n"})
    assert osrelease.os_release(str(tmp_path)) == {"id": "debian"}


def test_cloud_init_and_its_account_are_known_where_it_is_installed(tmp_path: Path) -> None:
    assert osrelease.layers_of(str(tmp_path)) == ()
    assert osrelease.account_rules(str(tmp_path)) == ()
    make_tree(tmp_path, {"etc/cloud/cloud.cfg": CLOUD_CFG})
    assert osrelease.layers_of(str(tmp_path)) == ("cloud-init",)
    rules = osrelease.account_rules(str(tmp_path))
    assert [(rule.kind, rule.path, rule.path_class) for rule in rules] == [
        ("user", "debian", "sealed"),
        ("group", "debian", "sealed"),
        ("group", "adm", "sealed"),
        ("group", "sudo", "sealed"),
    ]
    make_tree(tmp_path, {"etc/group": "root:x:0:\nadm:x:4:\n"})
    assert [rule.path for rule in osrelease.account_rules(str(tmp_path)) if rule.kind == "group"] == ["debian", "sudo"]


def test_the_account_is_read_in_one_pass_whatever_follows_it() -> None:
    """Debian's own file, with all that stands behind the account."""
    behind = "".join(f"       primary{number}:   https://mirror.example/debian\n" for number in range(100))
    paths = f"   paths:\n      cloud_dir: /var/lib/cloud/\n      name: other\n   package_mirrors:\n{behind}"
    assert osrelease.default_user(CLOUD_CFG + paths) == ("debian", ("adm", "sudo"))
    assert osrelease.default_user(CLOUD_CFG.replace("     name: debian\n", "") + paths) == ("", ())
    renamed = CLOUD_CFG.replace("name: debian", 'name: "admin" # renamed').replace("[adm, sudo]", '["wheel"] # its')
    assert osrelease.default_user(renamed + paths) == ("admin", ("wheel",))
    assert osrelease.default_user(CLOUD_CFG.replace("[adm, sudo]", "adm,sudo") + paths) == ("debian", ("adm", "sudo"))
    assert osrelease.default_user("# default_user:\n#   name: x\ndefault_user:\n  name: top\n") == ("", ())


def test_only_what_can_be_a_hostname_is_one(tmp_path: Path) -> None:
    make_tree(tmp_path, {"etc/hostname": "web-1\n"})
    assert osrelease.hostname(str(tmp_path)) == "web-1"
    (tmp_path / "etc/hostname").write_text("a b\x1b")
    assert osrelease.hostname(str(tmp_path)) == ""
