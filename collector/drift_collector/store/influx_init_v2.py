"""The bucket of InfluxDB 2.x and its two tokens, made by the server's management API."""

from collections.abc import Callable
from typing import Any, Final

import urllib3
from influxdb_client import (
    Authorization,
    BucketRetentionRules,
    InfluxDBClient,
    Permission,
    PermissionResource,
)
from influxdb_client.rest import ApiException

from drift_agent.errors import ConfigError, StoreError
from drift_agent.units import format_duration

_TIMEOUT_MS: Final = 15_000


def init_v2(base: str, bucket: str, org: str, token: str, retention: float) -> tuple[str, str, str]:
    """A sentence about what is there now, a write token and a read token; empty where there were such before.

    Raises:
        ConfigError: no organisation, or no operator's token, is named.
        StoreError: the server is down, or refuses.
    """
    name = base.partition("://")[2]
    if not org:
        raise ConfigError(f"{name} is InfluxDB 2: name its organisation, as in influxdb://{name}/{bucket}?org=NAME")
    if not token:
        raise ConfigError(f"{name} is InfluxDB 2: set DRIFTLINE_TOKEN to an operator's or all-access token")
    try:
        with InfluxDBClient(url=base, token=token, org=org, timeout=_TIMEOUT_MS) as client:
            return _init(client, name, bucket, org, retention)
    except ApiException as error:
        raise StoreError(_sentence(name, error)) from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreError(f"{name}: cannot be reached: {error}; check that it is up") from None


def _init(client: InfluxDBClient, name: str, bucket: str, org: str, retention: float) -> tuple[str, str, str]:
    org_id = _org_id(client, name, org)
    bucket_id = _bucket_id(client, bucket, org_id, retention)
    authorizations = client.authorizations_api()
    known = {each.description for each in authorizations.find_authorizations(org_id=org_id)}
    tokens = []
    for action in ("write", "read"):
        description = f"driftline: {action} {bucket}"
        if description in known:
            tokens.append("")
            continue
        resource = PermissionResource(type="buckets", id=bucket_id, org_id=org_id)
        wanted = Authorization(
            org_id=org_id, description=description, permissions=[Permission(action=action, resource=resource)]
        )
        tokens.append(str(authorizations.create_authorization(authorization=wanted).token))
    life = format_duration(retention) if retention else "for ever"
    return f"{name}: the bucket {bucket!r} of {org!r} is there, its points live {life}", tokens[0], tokens[1]


def _org_id(client: InfluxDBClient, name: str, org: str) -> str:
    found = _found(lambda: client.organizations_api().find_organizations(org=org))
    if not found:
        raise StoreError(f"{name}: has no organisation {org!r}, or the token may not see it")
    return str(found[0].id)


def _bucket_id(client: InfluxDBClient, bucket: str, org_id: str, retention: float) -> str:
    buckets = client.buckets_api()
    rules = [BucketRetentionRules(type="expire", every_seconds=round(retention))]
    for known in _found(lambda: buckets.find_buckets(name=bucket, org_id=org_id).buckets):
        if [rule.every_seconds for rule in known.retention_rules] != [round(retention)]:
            known.retention_rules = rules
            buckets.update_bucket(known)
        return str(known.id)
    return str(buckets.create_bucket(bucket_name=bucket, org=org_id, retention_rules=rules).id)


def _found(find: Callable[[], list[Any]]) -> list[Any]:
    """What a search finds; a 404 is nothing."""
    try:
        return find()
    except ApiException as error:
        if error.status == 404:
            return []
        raise


def _sentence(name: str, error: ApiException) -> str:
    if error.status in (401, 403):
        return f"{name}: refuses us; set DRIFTLINE_TOKEN to an operator's or all-access token of that organisation"
    return f"{name}: answers {error.status}: {str(error.message or error.reason)[:300]}"
