"""Policies as people write them."""

from pathlib import Path

import pytest

from drift_agent.errors import ConfigError
from drift_agent.image.policy_file import CLOUD_INIT, PROFILES, load_policy


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("layers", [(), (CLOUD_INIT,)])
def test_every_profile_loads_and_freezes_what_it_does_not_name(profile: str, layers: tuple[str, ...]) -> None:
    policy = load_policy(None, profile, layers=layers)
    assert policy.profile == profile
    assert policy.decide("/usr/bin/ls").path_class == "frozen"
    assert policy.decide("/proc/1").path_class == "ignored"


def test_every_packaged_rule_says_why() -> None:
    for profile in PROFILES:
        assert all(rule.why and rule.layer for rule in load_policy(None, profile, layers=(CLOUD_INIT,)).rules)


@pytest.mark.parametrize(
    ("path", "path_class"),
    [
        ("/etc/machine-id", "sealed"),
        ("/etc/ssh/ssh_host_ed25519_key", "sealed"),
        ("/etc/ssh/sshd_config.d/evil.conf", "frozen"),
        ("/etc/cron.d/x", "frozen"),
        ("/var/lib/cloud/instances/i-1/user-data.txt", "ignored"),
        ("/var/lib/cloud/instances/i-1/scripts/part-001", "sealed"),
        ("/var/lib/cloud/seed/nocloud/user-data", "sealed"),
        ("/var/lib/cloud/scripts/per-boot/x.sh", "frozen"),
        ("/var/lib/systemd/linger", "sealed"),
        ("/var/lib/systemd/linger/eve", "frozen"),
        ("/usr/lib/modules/6.1.0-28-amd64/modules.dep.bin", "sealed"),
        ("/var/lib/cloud/scripts/per-boot", "sealed"),
        ("/var/lib/cloud/instances/i-1/obj.pkl", "sealed"),
        ("/var/lib/dpkg/status", "ignored"),
        ("/var/lib/dpkg/info/ssh.postinst", "frozen"),
        ("/var/lib/dpkg/alternatives/pager", "frozen"),
        ("/etc/console-setup/cached_setup_font.sh", "sealed"),
        ("/etc/aliases.db", "sealed"),
        ("/etc/chrony/chrony.conf.dist", "sealed"),
        ("/var/cache/apparmor/26b63962.0/usr.sbin.sshd", "sealed"),
        ("/var/cache/man/index.db", "ignored"),
        ("/var/spool/postfix/lib/libnss_dns.so.2", "sealed"),
        ("/var/spool/postfix/etc/resolv.conf", "ignored"),
        ("/boot/grub/grubenv", "sealed"),
        ("/var/spool/cron/crontabs/root", "frozen"),
        ("/root/.ssh/authorized_keys", "sealed"),
        ("/root/.bashrc", "frozen"),
        ("/etc/sudoers.d/90-cloud-init-users", "sealed"),
        ("/etc/sudoers.d/99-evil", "frozen"),
        ("/etc/ld.so.preload", "frozen"),
        ("/etc/passwd", "structural"),
        ("/etc/passwd-", "ignored"),
        ("/etc/systemd/system/multi-user.target.wants/x.service", "structural"),
        ("/etc/systemd/system/x.service", "frozen"),
    ],
)
def test_debian_with_cloud_init_puts_paths_into_their_classes(path: str, path_class: str) -> None:
    assert load_policy(None, "debian", layers=(CLOUD_INIT,)).decide(path).path_class == path_class


@pytest.mark.parametrize(
    ("profile", "path"),
    [
        *((profile, path) for profile in PROFILES for path in (
            "/etc/.updated",
            "/var/.updated",
            "/var/lib/amazon/ssm/i-0/document/state/completed/x",
            "/var/lib/nginx/body/0000000001",
            "/var/lib/ntpsec/ntp.drift",
            "/var/lib/postfix/master.lock",
            "/var/lib/rsyslog/imjournal.state",
            "/var/lib/systemd/pstore/7000000000000000000/dmesg.txt",
            "/var/spool/rsyslog/imfile-state:1:2",
        )),
        ("debian", "/var/lib/command-not-found/commands.db"),
        ("debian", "/var/lib/unattended-upgrades/kept-back"),
        ("ubuntu", "/boot/grub/grubenv"),
        ("ubuntu", "/var/lib/command-not-found/commands.db"),
        ("ubuntu", "/var/lib/snapd/state.json"),
        ("ubuntu", "/var/lib/unattended-upgrades/kept-back"),
        ("ubuntu", "/var/lib/ubuntu-advantage/apt-esm/var/lib/apt/lists/x"),
        ("amazon-linux", "/boot/grub2/grubenv"),
    ],
)  # fmt: skip
def test_what_a_sound_machine_goes_on_writing_is_no_drift(profile: str, path: str) -> None:
    assert load_policy(None, profile).decide(path).path_class == "ignored"


@pytest.mark.parametrize(
    "path",
    [
        "/root/snap/lxd/common",
        "/var/lib/snapd/dbus-1/system-services/x.service",
        "/var/lib/snapd/snaps/core22_1.snap",
        "/var/snap/amazon-ssm-agent/common",
    ],
)
def test_the_snaps_of_an_ubuntu_count_as_they_stand_at_the_seal(path: str) -> None:
    assert load_policy(None, "ubuntu").decide(path).path_class == "sealed"


def test_without_cloud_init_its_files_are_frozen() -> None:
    assert load_policy(None, "debian").decide("/etc/sudoers.d/90-cloud-init-users").path_class == "frozen"
    assert load_policy(None, "debian").decide("/etc/fstab").path_class == "frozen"


def test_own_rules_stand_behind_the_profile(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(
        'profile = "ubuntu"\nkinds = ["file"]\n'
        '[[rule]]\npath = ["/etc/machine-id", "/srv/**"]\nwithout = ["uid"]\nseverity = "low"\nwhy = "ours"\n'
    )
    policy = load_policy(str(file))
    decision = policy.decide("/etc/machine-id")
    assert (decision.path_class, decision.severity, decision.why) == ("frozen", "low", "ours")
    assert "uid" not in decision.attributes
    assert policy.kinds == ("file",)
    assert policy.profile == "ubuntu"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = [", "not TOML"),
        ("color = 1", "color is not known"),
        ('profile = "arch"', "there is no profile 'arch'"),
        ('kinds = ["smell"]', "kinds may hold"),
        ("rule = 1", "array of tables"),
        ("[[rule]]\n", "path must be"),
        ('[[rule]]\npath = "etc"', "does not begin with"),
        ('[[rule]]\npath = "/a/***/b"', "before its end"),
        ('[[rule]]\npath = "/a"\nclass = "molten"', "class is 'molten'; it may be"),
        ('[[rule]]\npath = "/a"\nseverity = 3', "severity is 3"),
        ('[[rule]]\npath = "/a"\nattributes = ["x"]', "attributes may hold"),
        ('[[rule]]\npath = "/a"\nattributes = []\nwithout = []', "not both"),
        ('[[rule]]\npath = "/a"\nwhy = 1', "why must be"),
        ('[[rule]]\npath = "/etc/hosts"\nclass = "structural"', "holds no records"),
        ('[[rule]]\npath = "/a"\nglob = 1', "glob is not known"),
        ('[[rule]]\npath = "/a"\nwithout = [["uid"]]', "without may hold"),
        ('[[rule]]\npath = "/a"\nattributes = [{uid = 1}]', "attributes may hold"),
        ("profile = []", r"there is no profile \[\]"),
        ('profile = ""', "there is no profile ''"),
        ("kinds = " + "9" * 5000, "too many digits"),
        ("kinds = " + "[" * 5000 + "]" * 5000, "nested too deep"),
        ('[[rule]]\npath = "/a"\n\n [[ "rule" ]]  # two\npath = 1', r"policy\.toml, line 4: rule 2: path must be"),
        ('rule = [{path = "/a"}, {path = 1}]', r"policy\.toml: rule 2: path must be"),
    ],
)
def test_a_mistake_names_file_rule_and_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        load_policy(str(file))
    assert str(file) in str(error.value)


def test_a_policy_that_cannot_be_read_is_a_mistake_of_usage(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_policy(str(tmp_path / "none.toml"))
