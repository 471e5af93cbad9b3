# SPDX-License-Identifier: Apache-2.0
"""Who may do what by default: the rules of oslo.policy, which an operator's policy file overrides.

Rules of declared resources follow from their declarations; the names are those of existing policy files.
"""

from collections.abc import Iterator

from oslo_policy import policy

from ottava.model.attribute import Kind
from ottava.model.graph import RESOURCES

PREFIX = "os_load-balancer_api:"

_BLOCKS = (
    ("context_is_admin", "role:admin", "Who is the administrator."),
    ("load-balancer:owner", "project_id:%(project_id)s", "Whoever works in the project of the object."),
    ("project-member", "role:member and rule:load-balancer:owner", "Members of the project."),
    ("project-reader", "role:reader and rule:load-balancer:owner", "Readers of the project."),
    ("service", "role:service", "Other services of the cloud."),
    ("load-balancer:admin", "is_admin:True or rule:context_is_admin", "Administrators of load balancing."),
    ("load-balancer:observer_and_owner", "rule:project-reader", "Who sees the objects of a project."),
    ("load-balancer:member_and_owner", "rule:project-member", "Who changes the objects of a project."),
    ("load-balancer:global_observer", "rule:load-balancer:admin", "Who sees the objects of all projects."),
    ("load-balancer:quota-admin", "rule:load-balancer:admin", "Who sets quotas."),
    (
        "load-balancer:read",
        "rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer or "
        "rule:load-balancer:member_and_owner or rule:load-balancer:admin",
        "May see.",
    ),
    ("load-balancer:read-global", "rule:load-balancer:global_observer or rule:load-balancer:admin", "May see all."),
    ("load-balancer:write", "rule:load-balancer:member_and_owner or rule:load-balancer:admin", "May change."),
    ("load-balancer:read-or-service", "rule:load-balancer:read or rule:service", "May see, or is a service."),
    (
        "load-balancer:read-quota",
        "rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer or "
        "rule:load-balancer:member_and_owner or rule:load-balancer:quota-admin or rule:load-balancer:admin",
        "May see quotas.",
    ),
    (
        "load-balancer:read-quota-global",
        "rule:load-balancer:global_observer or rule:load-balancer:quota-admin or rule:load-balancer:admin",
        "May see the quotas of all projects.",
    ),
    ("load-balancer:write-quota", "rule:load-balancer:quota-admin or rule:load-balancer:admin", "May set quotas."),
)

_ROLES = {  # of load balancing alone, from before Keystone had its own; [oslo_policy] enforce_new_defaults = false
    "load-balancer:admin": "is_admin:True or role:admin or role:load-balancer_admin",
    "load-balancer:observer_and_owner": "role:load-balancer_observer and rule:load-balancer:owner",
    "load-balancer:member_and_owner": "role:load-balancer_member and rule:load-balancer:owner",
    "load-balancer:global_observer": "role:load-balancer_global_observer",
    "load-balancer:quota-admin": "role:load-balancer_quota_admin",
}

_OTHER = (
    ("loadbalancer:post:vip_sg_ids", "write", "POST", "/v2/lbaas/loadbalancers"),
    ("loadbalancer:put:vip_sg_ids", "write", "PUT", "/v2/lbaas/loadbalancers/{loadbalancer_id}"),
    ("loadbalancer:get_stats", "read", "GET", "/v2/lbaas/loadbalancers/{loadbalancer_id}/stats"),
    ("loadbalancer:get_status", "read", "GET", "/v2/lbaas/loadbalancers/{loadbalancer_id}/status"),
    ("loadbalancer:get_events", "read", "GET", "/v2/lbaas/loadbalancers/{loadbalancer_id}/events"),
    ("loadbalancer:put_failover", "admin", "PUT", "/v2/lbaas/loadbalancers/{loadbalancer_id}/failover"),
    ("listener:get_stats", "read", "GET", "/v2/lbaas/listeners/{listener_id}/stats"),
    ("provider:get_all", "read", "GET", "/v2/lbaas/providers"),
    ("provider-flavor:get_all", "admin", "GET", "/v2/lbaas/providers/{provider}/flavor_capabilities"),
    (
        "provider-availability-zone:get_all",
        "admin",
        "GET",
        "/v2/lbaas/providers/{provider}/availability_zone_capabilities",
    ),
    ("quota:get_all", "read-quota", "GET", "/v2/lbaas/quotas"),
    ("quota:get_all-global", "read-quota-global", "GET", "/v2/lbaas/quotas"),
    ("quota:get_one", "read-quota", "GET", "/v2/lbaas/quotas/{project_id}"),
    ("quota:get_defaults", "read-quota", "GET", "/v2/lbaas/quotas/{project_id}/default"),
    ("quota:put", "write-quota", "PUT", "/v2/lbaas/quotas/{project_id}"),
    ("quota:delete", "write-quota", "DELETE", "/v2/lbaas/quotas/{project_id}"),
    ("amphora:get_all", "admin", "GET", "/v2/octavia/amphorae"),
    ("amphora:get_one", "admin", "GET", "/v2/octavia/amphorae/{amphora_id}"),
    ("amphora:delete", "admin", "DELETE", "/v2/octavia/amphorae/{amphora_id}"),
    ("amphora:put_config", "admin", "PUT", "/v2/octavia/amphorae/{amphora_id}/config"),
    ("amphora:put_failover", "admin", "PUT", "/v2/octavia/amphorae/{amphora_id}/failover"),
    ("amphora:get_stats", "admin", "GET", "/v2/octavia/amphorae/{amphora_id}/stats"),
)

_CATALOGUES = (  # policy name, collection, id in the path, who may see them; only administrators change them
    ("flavor", "flavors", "flavor_id", "read"),
    ("flavor-profile", "flavorprofiles", "flavor_profile_id", "admin"),
    ("availability-zone", "availabilityzones", "availability_zone_id", "read"),
    ("availability-zone-profile", "availabilityzoneprofiles", "availability_zone_profile_id", "admin"),
)

_VERBS = (("get_all", "GET"), ("post", "POST"), ("get_one", "GET"), ("put", "PUT"), ("delete", "DELETE"))


def _collection(kind: Kind) -> str:
    """The path of a kind's collection; those without a global list live inside their parent."""
    inside = {"member": "pools/{pool_id}/", "rule": "l7policies/{l7policy_id}/"}.get(kind.name, "")
    return f"/v2/lbaas/{inside}{kind.plural}"


def _of_tree() -> Iterator[tuple[str, str, str, str]]:
    for cls in RESOURCES.values():
        kind = cls.kind
        path = _collection(kind)
        nested = "{" in path
        for verb, method in _VERBS:
            access = "write" if method != "GET" else "read"
            if (kind.name, verb) == ("member", "get_all"):
                access = "read-or-service"
            at = path if verb in ("get_all", "post") else f"{path}/{{{kind.policy}_id}}"
            yield f"{kind.policy}:{verb}", access, method, at
        if not nested:
            yield f"{kind.policy}:get_all-global", "read-global", "GET", path


def _of_catalogues() -> Iterator[tuple[str, str, str, str]]:
    for name, plural, identifier, readers in _CATALOGUES:
        for verb, method in _VERBS:
            path = f"/v2/lbaas/{plural}" + ("" if verb in ("get_all", "post") else f"/{{{identifier}}}")
            yield f"{name}:{verb}", readers if method == "GET" else "admin", method, path


def _rule(name: str, access: str, method: str, path: str) -> policy.DocumentedRuleDefault:
    return policy.DocumentedRuleDefault(
        name=PREFIX + name,
        check_str=f"rule:load-balancer:{access}",
        description=f"{method} {path}",
        operations=[{"method": method, "path": path}],
        scope_types=["project"],
    )


def _block(name: str, check: str, about: str) -> policy.RuleDefault:
    before = None
    if name in _ROLES:
        reason = "Keystone's default roles say it. Both hold where enforce_new_defaults is false."
        before = policy.DeprecatedRule(name, _ROLES[name], deprecated_reason=reason, deprecated_since="0.1.0")
    return policy.RuleDefault(name, check, about, deprecated_rule=before)


def list_rules() -> list[policy.RuleDefault]:
    """Every rule with its default, building blocks first."""
    return [_block(*row) for row in _BLOCKS] + [_rule(*row) for row in (*_of_tree(), *_of_catalogues(), *_OTHER)]
