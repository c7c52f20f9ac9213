"""Groups: a `group` is what group and gshadow say of one name.

Accounts that first boot makes are left out of the members: their memberships stand with them (see `user`).
"""

from typing import Final

from drift_agent.image.facts.accounts import in_the_open, members, number, password, records
from drift_agent.image.facts.base import Context, Fact, Gathered, gathered, read_text, unique
from drift_agent.model import AttributeValue

GROUP: Final = "/etc/group"
GSHADOW: Final = "/etc/gshadow"


def gather(context: Context) -> Gathered | None:
    """One item a line of group, and one for each name that only gshadow holds."""
    unreadable: dict[str, str] = {}
    text = read_text(context, GROUP, unreadable)
    if text is None and not unreadable:
        return None
    found: dict[str, dict[str, AttributeValue]] = {}
    for name, secret, gid, names in records(text or "", 4):
        found[unique(found, name)] = {
            "gid": number(gid),
            "members": _baked(context, names),
            **in_the_open(secret, context.image, name),
        }
    shadow: dict[str, dict[str, AttributeValue]] = {}
    for name, secret, administrators, names in records(read_text(context, GSHADOW, unreadable) or "", 4):
        key = unique(shadow, name)
        record = shadow[key] = found.setdefault(key, {})
        record.update(password(secret, context.image, name))
        if administrators:
            record["administrators"] = _baked(context, administrators)
        if (shadowed := _baked(context, names)) != record.get("members"):
            record["shadow_members"] = shadowed
    return gathered("group", found, unreadable)


def _baked(context: Context, names: str) -> str:
    return ",".join(name for name in members(names) if not context.sealed(name))


FACT: Final = Fact("group", (GROUP, GSHADOW), gather)
