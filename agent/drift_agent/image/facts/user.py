"""Accounts: a `user` is what passwd, shadow, subuid and subgid say of one name.

The day of the last password change is left out: first boot sets it. The groups of an account that first boot makes
belong to that account (see `group`), so that its memberships are sealed with it.
"""

from typing import Final

from drift_agent.image.facts.accounts import in_the_open, members, number, password, records
from drift_agent.image.facts.base import Context, Fact, Gathered, gathered, read_text, unique
from drift_agent.model import AttributeValue

USERS: Final = "/etc/passwd"
SHADOW: Final = "/etc/shadow"
GROUP: Final = "/etc/group"


def gather(context: Context) -> Gathered | None:
    """One item a line of passwd, and one for each name that only another of the files holds."""
    unreadable: dict[str, str] = {}
    passwd = read_text(context, USERS, unreadable)
    if passwd is None and not unreadable:
        return None
    found: dict[str, dict[str, AttributeValue]] = {}
    for name, secret, uid, gid, gecos, home, shell in records(passwd or "", 7):
        found[unique(found, name)] = {
            "uid": number(uid),
            "gid": number(gid),
            "gecos": gecos,
            "home": home,
            "shell": shell,
            **in_the_open(secret, context.image, name),
        }
    shadow: dict[str, dict[str, AttributeValue]] = {}
    for name, secret, _, *aging, _ in records(read_text(context, SHADOW, unreadable) or "", 9):
        shadow[unique(shadow, name)] = {**password(secret, context.image, name), "aging": ":".join(aging)}
    for key, secrets in shadow.items():
        found.setdefault(key, {}).update(secrets)
    for key in ("subuid", "subgid"):
        for name, start, count in records(read_text(context, f"/etc/{key}", unreadable) or "", 3):
            record = found.setdefault(name, {})
            record[key] = f"{record[key]},{start}:{count}" if key in record else f"{start}:{count}"
    for name, groups in _groups_of_sealed(context, unreadable).items():
        found.setdefault(name, {})["groups"] = ",".join(groups)
    return gathered("user", found, unreadable)


def _groups_of_sealed(context: Context, unreadable: dict[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for group, _, _, names in records(read_text(context, GROUP, unreadable) or "", 4):
        for name in members(names):
            if context.sealed(name):
                groups.setdefault(name, []).append(group)
    return {name: sorted(of) for name, of in groups.items()}


FACT: Final = Fact("user", (USERS, SHADOW, GROUP, "/etc/subuid", "/etc/subgid"), gather)
