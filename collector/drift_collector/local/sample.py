"""A small root tree that looks like a web server's, for the demo: and what somebody then does to one copy of it."""

from pathlib import Path
from typing import Final

_FILES: Final[dict[str, str]] = {
    "etc/hostname": "web\n",
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nwww-data:x:33:\n",
    "etc/ssh/sshd_config": "PermitRootLogin no\nPasswordAuthentication no\nX11Forwarding no\n",
    "etc/nginx/nginx.conf": "user www-data;\nworker_processes auto;\nevents { worker_connections 768; }\n",
    "etc/nginx/conf.d/app.conf": "server {\n  listen 443 ssl;\n  root /srv/app;\n}\n",
    "etc/systemd/system/app.service": "[Unit]\nDescription=The application\n\n[Service]\nExecStart=/opt/app/bin/app\n",
    "etc/cron.d/rotate": "17 3 * * * root /usr/sbin/logrotate /etc/logrotate.conf\n",
    "etc/logrotate.conf": "weekly\nrotate 4\n",
    "opt/app/bin/app": "#!/bin/sh\nexec /opt/app/lib/server --port 8443\n",
    "opt/app/lib/server": "application code\n" * 200,
    "srv/app/index.html": "<!doctype html><title>It works</title>\n",
    "usr/bin/tool": "#!/bin/sh\necho tool\n",
}
_EXECUTABLE: Final = ("opt/app/bin/app", "opt/app/lib/server", "usr/bin/tool")

CHANGES: Final = (
    "/etc/ssh/sshd_config: PermitRootLogin yes",
    "/etc/systemd/system/backdoor.service: new",
    "/etc/cron.d/rotate: removed",
)
"""What `tamper` does, in words."""


def write_sample_tree(root: Path) -> None:
    """Fills `root` with the sample: the same bytes, modes and links at every call."""
    for name, text in _FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if name in _EXECUTABLE else 0o644)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    (wants / "app.service").symlink_to("/etc/systemd/system/app.service")
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())):
        folder.chmod(0o755)


def tamper(root: Path) -> None:
    """What nobody should do to an immutable server: a file modified, a unit added, a file removed."""
    sshd = root / "etc/ssh/sshd_config"
    sshd.write_text(sshd.read_text().replace("PermitRootLogin no", "PermitRootLogin yes"))
    unit = root / "etc/systemd/system/backdoor.service"
    unit.write_text("[Service]\nExecStart=/usr/bin/nc -l 4444\n")
    unit.chmod(0o644)
    (root / "etc/cron.d/rotate").unlink()
