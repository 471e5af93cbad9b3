# SPDX-License-Identifier: Apache-2.0
"""Quotas while many create at once: as many as allowed, not one more and not one fewer, in whatever way they are created."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ottava.store import engine as database
from ottava.store import quotas

from .conftest import Api, served

TIMES = 8
Request = tuple[str, str, object]


@pytest.fixture(scope="module")
def limited(database_kind: str, tmp_path_factory: pytest.TempPathFactory, user_file: Path) -> Iterator[Api]:
    """An API that counts, since it asks everybody who they are."""
    options = {"auth_strategy": "http_basic", "http_basic_auth_user_file": str(user_file)}
    with served(database_kind, tmp_path_factory.mktemp("limited"), **options) as api:
        yield api


@pytest.fixture
def trees(limited: Api) -> Iterator[list[dict[str, Any]]]:
    """One load balancer for each request, because requests below one wait for each other anyway."""
    policy = {"action": "REJECT", "position": 1}
    wish = {
        "listeners": [{"protocol": "HTTP", "protocol_port": 80, "l7policies": [policy]}],
        "pools": [{"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}],
    }
    yield [limited.make("loadbalancers", "alice", **wish) for _ in range(TIMES)]
    assert limited("DELETE", "quotas/p-one", user="root").status_code == 202


def load_balancer(api: Api, tree: dict[str, Any]) -> Request:
    return "POST", "loadbalancers", {"loadbalancer": {"vip_subnet_id": api.subnet_id}}


def listener(api: Api, tree: dict[str, Any]) -> Request:
    return "POST", "listeners", {"listener": {"loadbalancer_id": tree["id"], "protocol": "TCP", "protocol_port": 81}}


def pool(api: Api, tree: dict[str, Any]) -> Request:
    body = {"loadbalancer_id": tree["id"], "protocol": "TCP", "lb_algorithm": "SOURCE_IP"}
    return "POST", "pools", {"pool": body}


def member(api: Api, tree: dict[str, Any]) -> Request:
    path = f"pools/{tree['pools'][0]['id']}/members"
    return "POST", path, {"member": {"address": "198.18.0.1", "protocol_port": 80}}


def health_monitor(api: Api, tree: dict[str, Any]) -> Request:
    body = {"pool_id": tree["pools"][0]["id"], "type": "HTTP", "delay": 5, "timeout": 2, "max_retries": 3}
    return "POST", "healthmonitors", {"healthmonitor": body}


def policy(api: Api, tree: dict[str, Any]) -> Request:
    return "POST", "l7policies", {"l7policy": {"listener_id": tree["listeners"][0]["id"], "action": "REJECT"}}


def rule(api: Api, tree: dict[str, Any]) -> Request:
    path = f"l7policies/{tree['listeners'][0]['l7policies'][0]['id']}/rules"
    return "POST", path, {"rule": {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}}


def three_members(api: Api, tree: dict[str, Any]) -> Request:
    members = [{"address": "198.18.0.1", "protocol_port": number} for number in (80, 81, 82)]
    return "PUT", f"pools/{tree['pools'][0]['id']}/members", {"members": members}


def three_listeners_in_a_tree(api: Api, tree: dict[str, Any]) -> Request:
    listeners = [{"protocol": "TCP", "protocol_port": number} for number in (80, 81, 82)]
    return "POST", "loadbalancers", {"loadbalancer": {"vip_subnet_id": api.subnet_id, "listeners": listeners}}


WAYS = [  # the request, what is limited, how many of them are in a request
    (load_balancer, "loadbalancer", 1),
    (listener, "listener", 1),
    (pool, "pool", 1),
    (member, "member", 1),
    (health_monitor, "healthmonitor", 1),
    (policy, "l7policy", 1),
    (rule, "l7rule", 1),
    (three_members, "member", 3),
    (three_listeners_in_a_tree, "listener", 3),
]


def used(api: Api, name: str) -> int:
    with database.reading(api.engine) as conn:
        return quotas.used(conn, "p-one", name)


@pytest.mark.parametrize(("way", "name", "each"), WAYS, ids=[way.__name__ for way, *_ in WAYS])
def test_exactly_as_many_as_allowed(
    limited: Api, trees: list[dict[str, Any]], way: Callable[[Api, dict[str, Any]], Request], name: str, each: int
) -> None:
    before = used(limited, name)
    room = 3 * each + each // 2  # whole requests only
    assert limited("PUT", "quotas/p-one", {"quota": {name: before + room}}, user="root").status_code == 202

    def send(tree: dict[str, Any]) -> int:
        return limited(*way(limited, tree), user="alice").status_code

    with ThreadPoolExecutor(TIMES) as pool:
        statuses = list(pool.map(send, trees))
    assert sorted(statuses) == [min(statuses)] * 3 + [403] * (TIMES - 3)
    assert min(statuses) in (201, 202)
    assert used(limited, name) == before + 3 * each
    assert limited.book.ownerless() == []
