# SPDX-License-Identifier: Apache-2.0
"""From the graph to the AmphoraIR: which listeners, pools and rules are in force, and what each means."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeVar

from ottava.model import scalars, status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.model.resource import Child
from ottava.translate import ir, l7
from ottava.translate.limits import Limits, limits
from ottava.translate.servers import servers
from ottava.wire.desired import Probe
from ottava.wire.heartbeat import Facts

C = TypeVar("C", bound=Child)

BALANCE = {"ROUND_ROBIN": "roundrobin", "LEAST_CONNECTIONS": "leastconn", "SOURCE_IP": "source"}
DEFAULT_TIMES = {
    "timeout_client_data": 50000,
    "timeout_member_connect": 5000,
    "timeout_member_data": 50000,
}
"""Milliseconds where a listener says 0."""


class Tree:
    """The graph without what is being deleted, with children found by parent."""

    def __init__(self, graph: LoadBalancerGraph) -> None:
        self.load_balancer = graph.load_balancer
        self.listeners = _alive(graph.listeners)
        self.pools = {pool.id: pool for pool in _alive(graph.pools)}
        self.members = _by_parent(_alive(graph.members), "pool_id")
        self.policies = _by_parent(_alive(graph.l7policies), "listener_id")
        self.rules = _by_parent(_alive(graph.rules), "l7policy_id")
        self.monitors = {each.pool_id: each for each in _alive(graph.healthmonitors) if each.admin_state_up}

    def pool(self, pool_id: str | None) -> Pool | None:
        """The pool if it is there and enabled."""
        pool = self.pools.get(pool_id or "")
        return pool if pool and pool.admin_state_up else None

    def policies_of(self, listener: Listener) -> list[tuple[L7Policy, list[L7Rule]]]:
        """The policies that are in force, by position, each with its rules that are."""
        found = []
        ordered = sorted(self.policies[listener.id], key=lambda each: (each.position, each.created_at, each.id))
        for policy in ordered:
            rules = [rule for rule in self.rules[policy.id] if rule.admin_state_up]
            if policy.admin_state_up and rules:
                found.append((policy, rules))
        return found


def _alive(table: Mapping[str, C]) -> list[C]:
    found = [each for each in table.values() if each.provisioning_status != status.PENDING_DELETE]
    return sorted(found, key=lambda each: (each.created_at, each.id))


def _by_parent(children: Iterable[C], key: str) -> dict[str, list[C]]:
    found: dict[str, list[C]] = defaultdict(list)
    for child in children:
        found[getattr(child, key)].append(child)
    return found


def build(graph: LoadBalancerGraph, facts: Facts) -> ir.AmphoraIR:
    """What the amphora of `graph` does on a host of which `facts` are known.

    Raises ValueError, naming the object, for a value that has no meaning in a configuration.
    """
    tree = Tree(graph)
    up = tree.load_balancer.admin_state_up
    listeners = [each for each in tree.listeners if each.admin_state_up] if up else []
    bounds = limits(facts, [each.connection_limit for each in listeners])
    backends = tuple(backend for each in listeners for backend in _backends(tree, each))
    return ir.AmphoraIR(
        loadbalancer_id=tree.load_balancer.id,
        maxconn=bounds.maxconn,
        maxpipes=bounds.maxpipes,
        threads=bounds.threads,
        frontends=tuple(_frontend(tree, each, bounds) for each in listeners),
        backends=backends,
        probes=tuple(probe for backend in backends for probe in _probes(tree, backend)),
    )


def backend_name(pool: Pool, listener: Listener) -> str:
    """The name of the backend that is `pool` as `listener` uses it."""
    return f"{pool.id}:{listener.id}"


def _time(listener: Listener, attribute: str) -> int:
    return getattr(listener, attribute) or DEFAULT_TIMES[attribute]


def _frontend(tree: Tree, listener: Listener, bounds: Limits) -> ir.Frontend:
    if tree.load_balancer.vip_address is None:
        raise ValueError(f"load balancer {tree.load_balancer.id} has no VIP address yet")
    pool = tree.pool(listener.default_pool_id)
    policies = tree.policies_of(listener) if listener.protocol == "HTTP" else []
    return ir.Frontend(
        listener_id=listener.id,
        mode=listener.protocol.lower(),
        binds=((str(scalars.address(tree.load_balancer.vip_address)), listener.protocol_port),),
        maxconn=bounds.frontend(listener.connection_limit),
        timeout_client=_time(listener, "timeout_client_data"),
        inspect_delay=listener.timeout_tcp_inspect,
        allowed=listener.allowed_cidrs or None,
        policies=tuple(_policy(tree, listener, policy, rules) for policy, rules in policies),
        default_backend=backend_name(pool, listener) if pool else None,
    )


def _policy(tree: Tree, listener: Listener, policy: L7Policy, rules: list[L7Rule]) -> ir.Policy:
    tests = tuple(l7.test(rule) for rule in rules)
    return ir.Policy(policy.id, tests, _action(tree, listener, policy))


def _action(tree: Tree, listener: Listener, policy: L7Policy) -> ir.Deny | ir.Redirect | ir.UseBackend:
    code = policy.redirect_http_code or 302
    match policy.action:
        case "REJECT":
            return ir.Deny(403)
        case "REDIRECT_TO_URL" if policy.redirect_url:
            return ir.Redirect("location", ir.LogFormat(policy.redirect_url), code)
        case "REDIRECT_PREFIX" if policy.redirect_prefix:
            return ir.Redirect("prefix", ir.LogFormat(policy.redirect_prefix), code)
        case "REDIRECT_TO_POOL":
            pool = tree.pool(policy.redirect_pool_id)
            return ir.UseBackend(backend_name(pool, listener)) if pool else ir.Deny(503)
    raise ValueError(f"L7 policy {policy.id}: {policy.action} lacks its target")


def _backends(tree: Tree, listener: Listener) -> list[ir.Backend]:
    wanted = [listener.default_pool_id]
    if listener.protocol == "HTTP":
        wanted += [policy.redirect_pool_id for policy, _ in tree.policies_of(listener)]
    pools = [pool for pool_id in dict.fromkeys(wanted) if (pool := tree.pool(pool_id))]
    return [_backend(tree, listener, pool) for pool in pools]


def _backend(tree: Tree, listener: Listener, pool: Pool) -> ir.Backend:
    monitor = tree.monitors.get(pool.id)
    # A TCP listener may have an HTTP pool (HAProxy then reads HTTP from there on); the reverse slips through the
    # API now and then, and has no meaning but HTTP.
    http = "HTTP" in (pool.protocol, listener.protocol)
    forwarded_for, headers = _headers(listener) if http else (False, ())
    return ir.Backend(
        name=backend_name(pool, listener),
        pool_id=pool.id,
        mode="http" if http else "tcp",
        balance=BALANCE[pool.lb_algorithm],
        timeout_connect=_time(listener, "timeout_member_connect"),
        timeout_server=_time(listener, "timeout_member_data"),
        forwarded_for=forwarded_for,
        headers=headers,
        persistence=_persistence(pool, http),
        check=_check(monitor) if monitor and monitor.type != "PING" else None,
        servers=servers(tree.members[pool.id], monitor),
    )


def _headers(listener: Listener) -> tuple[bool, tuple[tuple[str, ir.LogFormat], ...]]:
    """Only "true", in any case, switches a header on."""
    on = {name for name, value in listener.insert_headers.items() if value.lower() == "true"}
    values = {"X-Forwarded-Port": str(listener.protocol_port), "X-Forwarded-Proto": "http"}
    headers = tuple((name, ir.LogFormat(value)) for name, value in values.items() if name in on)
    return "X-Forwarded-For" in on, headers


def _persistence(pool: Pool, http: bool) -> ir.Persistence | None:
    """Cookies mean nothing where HTTP is not spoken; the API takes them there all the same."""
    wish = pool.session_persistence
    if wish is None:
        return None
    if wish.type == "SOURCE_IP":
        return ir.SourcePersistence()
    if not http:
        return None
    if wish.type == "HTTP_COOKIE":
        return ir.CookiePersistence(hashlib.sha256(pool.id.encode()).hexdigest()[:32])
    if not wish.cookie_name:
        raise ValueError(f"pool {pool.id}: APP_COOKIE lacks the cookie's name")
    return ir.AppCookiePersistence(
        request=ir.Sample("req.cook", wish.cookie_name), response=ir.Sample("res.cook", wish.cookie_name)
    )


def _check(monitor: HealthMonitor) -> ir.Check:
    return ir.Check(monitor.id, max(1, monitor.timeout), _http_check(monitor) if monitor.type == "HTTP" else None)


def _http_check(monitor: HealthMonitor) -> ir.HttpCheck:
    version = f"{monitor.http_version or 1.0:.1f}"
    host = ir.LogFormat(monitor.domain_name) if monitor.domain_name and version == "1.1" else None
    return ir.HttpCheck(
        method=monitor.http_method or "GET",
        path=ir.Word(monitor.url_path or "/"),
        version=version,
        host=host,
        expect=_expect(monitor.expected_codes or "200"),
    )


def _expect(codes: str) -> str:
    """Codes as HAProxy takes them: without blanks, a range with the lower end first."""
    compact = "".join(codes.split())
    return "-".join(sorted(compact.split("-")))


def _probes(tree: Tree, backend: ir.Backend) -> list[Probe]:
    monitor = tree.monitors.get(backend.pool_id)
    if monitor is None or monitor.type != "PING":
        return []
    return [_probe(backend, member, monitor) for member in tree.members[backend.pool_id] if member.admin_state_up]


def _probe(backend: ir.Backend, member: Member, monitor: HealthMonitor) -> Probe:
    return Probe(
        backend=backend.name,
        server=member.id,
        kind="PING",
        address=str(scalars.address(member.monitor_address or member.address)),
        delay=max(1, monitor.delay),
        timeout=max(1, monitor.timeout),
        rise=monitor.max_retries,
        fall=monitor.max_retries_down,
    )
