# SPDX-License-Identifier: Apache-2.0
"""Who may do what: personas by actions, the file of users, policy files, quotas of projects."""

import base64
import os
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml
from oslo_policy import policy

from ottava import policies
from ottava.api.http_basic import BadUserFile, read_users

PERSONAS = ("root", "alice", "reader", "bob", "aodh", "nobody", None)

NEW = {"vip_subnet_id": "SUBNET", "project_id": "p-one"}
MEMBER = {"address": "198.18.0.77", "protocol_port": 77}
POLICY = {"listener_id": "LISTENER", "action": "REJECT"}
RULE = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}
MONITOR = {"pool_id": "POOL", "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}
SET = {"quota": {"pool": 5}}

TABLE: list[tuple[str, str, object, tuple[int, ...]]] = [
    # verb, path, body, status for root, alice, reader, bob, aodh, nobody, and without credentials
    ("GET", "loadbalancers/LB", None, (200, 200, 200, 403, 403, 403, 401)),
    ("GET", "loadbalancers/MISSING", None, (404, 404, 404, 404, 404, 404, 401)),
    ("GET", "loadbalancers", None, (200, 200, 200, 200, 403, 403, 401)),
    ("GET", "loadbalancers?project_id=p-one", None, (200, 200, 200, 403, 403, 403, 401)),
    ("GET", "loadbalancers/LB/status", None, (200, 200, 200, 403, 403, 403, 401)),
    ("GET", "loadbalancers/LB/stats", None, (200, 200, 200, 403, 403, 403, 401)),
    ("PUT", "loadbalancers/LB", {"loadbalancer": {}}, (200, 200, 403, 403, 403, 403, 401)),
    ("PUT", "loadbalancers/LB/failover", None, (202, 403, 403, 403, 403, 403, 401)),
    ("POST", "loadbalancers", {"loadbalancer": NEW}, (201, 201, 403, 403, 403, 403, 401)),
    ("DELETE", "loadbalancers/LB", None, (400, 400, 403, 403, 403, 403, 401)),
    ("GET", "listeners", None, (200, 200, 200, 200, 403, 403, 401)),
    ("GET", "listeners/LISTENER", None, (200, 200, 200, 403, 403, 403, 401)),
    ("GET", "listeners/LISTENER/stats", None, (200, 200, 200, 403, 403, 403, 401)),
    ("PUT", "listeners/LISTENER", {"listener": {}}, (200, 200, 403, 403, 403, 403, 401)),
    ("POST", "listeners", {"listener": {"loadbalancer_id": "LB", "protocol": "TCP", "protocol_port": 80}},
     (409, 409, 403, 403, 403, 403, 401)),
    ("POST", "listeners", {"listener": {"loadbalancer_id": "MISSING", "protocol": "TCP", "protocol_port": 80}},
     (404, 404, 404, 404, 404, 404, 401)),
    ("POST", "listeners", {"listener": {"bogus": 1}}, (400, 400, 400, 400, 400, 400, 401)),
    ("GET", "pools/POOL", None, (200, 200, 200, 403, 403, 403, 401)),
    ("PUT", "pools/POOL", {"pool": {}}, (200, 200, 403, 403, 403, 403, 401)),
    ("POST", "pools", {"pool": {"listener_id": "LISTENER", "protocol": "HTTP", "lb_algorithm": "SOURCE_IP"}},
     (409, 409, 403, 403, 403, 403, 401)),
    ("GET", "pools/POOL/members", None, (200, 200, 200, 403, 200, 403, 401)),
    ("GET", "pools/POOL/members/MEMBER", None, (200, 200, 200, 403, 403, 403, 401)),
    ("PUT", "pools/POOL/members/MEMBER", {"member": {}}, (200, 200, 403, 403, 403, 403, 401)),
    ("POST", "pools/POOL/members", {"member": MEMBER}, (409, 409, 403, 403, 403, 403, 401)),
    ("PUT", "pools/POOL/members", {"members": [MEMBER]}, (202, 202, 403, 403, 403, 403, 401)),
    ("GET", "healthmonitors", None, (200, 200, 200, 200, 403, 403, 401)),
    ("POST", "healthmonitors", {"healthmonitor": MONITOR}, (409, 409, 403, 403, 403, 403, 401)),
    ("GET", "l7policies/POLICY", None, (200, 200, 200, 403, 403, 403, 401)),
    ("POST", "l7policies", {"l7policy": POLICY}, (201, 201, 403, 403, 403, 403, 401)),
    ("GET", "l7policies/POLICY/rules", None, (200, 200, 200, 403, 403, 403, 401)),
    ("POST", "l7policies/POLICY/rules", {"rule": RULE}, (201, 201, 403, 403, 403, 403, 401)),
    ("GET", "providers", None, (200, 200, 200, 200, 403, 403, 401)),
    ("GET", "providers/ottava/flavor_capabilities", None, (200, 403, 403, 403, 403, 403, 401)),
    ("GET", "providers/ottava/availability_zone_capabilities", None, (200, 403, 403, 403, 403, 403, 401)),
    ("GET", "flavors", None, (200, 200, 200, 200, 403, 403, 401)),
    ("GET", "flavors/MISSING", None, (404, 404, 404, 404, 403, 403, 401)),
    ("POST", "flavors", {"flavor": {"name": "f", "flavor_profile_id": "MISSING"}}, (400, 403, 403, 403, 403, 403, 401)),
    ("PUT", "flavors/MISSING", {"flavor": {}}, (404, 403, 403, 403, 403, 403, 401)),
    ("DELETE", "flavors/MISSING", None, (404, 403, 403, 403, 403, 403, 401)),
    ("GET", "flavorprofiles", None, (200, 403, 403, 403, 403, 403, 401)),
    ("GET", "flavorprofiles/MISSING", None, (404, 403, 403, 403, 403, 403, 401)),
    ("GET", "availabilityzones/x", None, (404, 404, 404, 404, 403, 403, 401)),
    ("DELETE", "availabilityzones/x", None, (404, 403, 403, 403, 403, 403, 401)),
    ("GET", "availabilityzoneprofiles", None, (200, 403, 403, 403, 403, 403, 401)),
    ("DELETE", "availabilityzoneprofiles/MISSING", None, (404, 403, 403, 403, 403, 403, 401)),
    ("GET", "quotas", None, (200, 200, 200, 200, 403, 403, 401)),
    ("GET", "quotas/p-one", None, (200, 200, 200, 403, 403, 403, 401)),
    ("GET", "quotas/defaults", None, (200, 403, 403, 403, 403, 403, 401)),
    ("GET", "quotas/p-one/default", None, (200, 200, 200, 403, 403, 403, 401)),
    ("PUT", "quotas/p-nine", SET, (202, 403, 403, 403, 403, 403, 401)),
    ("DELETE", "quotas/p-nine", None, (202, 403, 403, 403, 403, 403, 401)),
    ("GET", "/", None, (200,) * 7),
    ("GET", "/openapi.json", None, (200,) * 7),
    ("GET", "/load-balancer/", None, (200,) * 7),
    ("GET", "/v2/", None, (200, 200, 200, 200, 200, 200, 401)),
]  # fmt: skip


@pytest.fixture(scope="module")
def names(secure: Any) -> dict[str, str]:
    """Words in the table, and the ids of objects of project p-one that they stand for."""
    balancer = secure.make(
        "loadbalancers", "alice",
        listeners=[{"name": "l", "protocol": "HTTP", "protocol_port": 80, "l7policies": [{"action": "REJECT"}],
                    "default_pool": {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": [MEMBER],
                                     "healthmonitor": {k: v for k, v in MONITOR.items() if k != "pool_id"}}}],
    )  # fmt: skip
    assert balancer["project_id"] == "p-one"
    listener, pool = balancer["listeners"][0], balancer["pools"][0]
    return {
        "SUBNET": secure.subnet_id,
        "MISSING": "6dd1b2f8-1111-4111-8111-111111111111",
        "LB": balancer["id"],
        "LISTENER": listener["id"],
        "POLICY": listener["l7policies"][0]["id"],
        "POOL": pool["id"],
        "MEMBER": pool["members"][0]["id"],
    }


def named(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: named(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [named(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize("row", TABLE, ids=[f"{verb} {path}" for verb, path, *_ in TABLE])
def test_personas(secure: Any, names: dict[str, str], row: tuple[str, str, object, tuple[int, ...]]) -> None:
    verb, path, body, expected = row
    path = "/".join(names.get(part, part) for part in path.split("/"))
    found = []
    for persona in reversed(PERSONAS):  # those who may do most come last
        found.append(secure(verb, path, named(body, names), user=persona).status_code)
    assert tuple(reversed(found)) == expected


def test_lists_show_what_each_may_see(secure: Any, names: dict[str, str]) -> None:
    mine = secure.make("loadbalancers", "bob")
    assert names["LB"] in secure.ids("loadbalancers", "alice")
    assert secure.ids("loadbalancers", "bob") == [mine["id"]]
    assert {mine["id"], names["LB"]} <= set(secure.ids("loadbalancers", "root"))
    assert secure.ids("loadbalancers?project_id=p-two", "root") == [mine["id"]]


def test_unauthenticated_body_and_header(secure: Any) -> None:
    result = secure("GET", "loadbalancers", headers={"X-Roles": "admin", "X-Project-Id": "p-one", "X-User-Id": "root"})
    assert result.status_code == 401
    assert result.json["error"]["message"] == "The request you have made requires authentication."
    assert result.headers["www-authenticate"].startswith("Basic ")
    assert result.headers["x-openstack-request-id"].startswith("req-")


def test_headers_cannot_raise_anybody(secure: Any, names: dict[str, str]) -> None:
    result = secure("PUT", f"loadbalancers/{names['LB']}/failover", user="reader",
                    headers={"X-Roles": "admin", "X-Is-Admin": "True", "X-Project-Id": "p-one"})  # fmt: skip
    assert result.status_code == 403


def test_headers_cannot_change_the_scope(secure: Any, names: dict[str, str]) -> None:
    forged = {"X-System-Scope": "all", "X-Domain-Id": "d", "X-Roles": "none"}
    assert secure("GET", f"loadbalancers/{names['LB']}", user="reader", headers=forged).status_code == 200


CREDENTIALS = [
    b"root:wrong", b"root:", b"root", b":", b"", b"nobody-at-all:x", b"root:secret of root\x00", b"\xff:\xff",
    b"root:" + b"x" * 5000, b"roo:t:secret of root",
]  # fmt: skip


@pytest.mark.parametrize("credentials", CREDENTIALS, ids=range(len(CREDENTIALS)))
def test_wrong_credentials(secure: Any, credentials: bytes) -> None:
    header = "Basic " + base64.b64encode(credentials).decode()
    assert secure("GET", "loadbalancers", headers={"Authorization": header}).status_code == 401


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Bearer x", "basic cm9vdDp3cm9uZw==", "Basic \xe9"])
def test_wrong_headers(secure: Any, header: str) -> None:
    assert secure("GET", "loadbalancers", headers={"Authorization": header}).status_code == 401


def write(path: Path, *lines: str, mode: int = 0o600) -> None:
    path.write_text("\n".join(lines))
    path.chmod(mode)
    os.utime(path, ns=(path.stat().st_mtime_ns + 1, path.stat().st_mtime_ns + 1))


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def test_the_file_is_read_again_when_it_changes(fresh: Any, tmp_path: Path) -> None:
    path = tmp_path / "users"
    write(path, f"ann:{hashed('secret of ann')}:p:admin", f"ben:{hashed('secret of ben')}")
    api = fresh(auth_strategy="http_basic", http_basic_auth_user_file=str(path))
    assert api("GET", "loadbalancers", user="ann").status_code == 200
    assert api.make("loadbalancers", "ben")["project_id"] == "ben"
    write(path, f"ann:{hashed('another secret')}:p:admin")
    assert api("GET", "loadbalancers", user="ann").status_code == 401
    assert api("GET", "loadbalancers", user="ben").status_code == 401
    write(path, f"ann:{hashed('secret of ann')}:p:admin", mode=0o644)
    assert api("GET", "loadbalancers", user="ann").status_code == 503
    path.unlink()
    assert api("GET", "loadbalancers", user="ann").status_code == 503
    write(path, f"ann:{hashed('secret of ann')}:p:reader")
    assert api("GET", "loadbalancers", user="ann").status_code == 200


BAD_LINES = ["ann", "ann:", "ann:plain", ":$2b$04$" + "x" * 53, f"ann:{hashed('x')}x", f"ann:{hashed('x')}:a b:member"]


@pytest.mark.parametrize("line", BAD_LINES, ids=range(len(BAD_LINES)))
def test_bad_lines(tmp_path: Path, line: str) -> None:
    write(tmp_path / "users", line)
    with pytest.raises(BadUserFile, match="line 1"):
        read_users(str(tmp_path / "users"))


def test_everybody_may_not_read_it(tmp_path: Path) -> None:
    write(tmp_path / "users", mode=0o604)
    with pytest.raises(BadUserFile, match="mode"):
        read_users(str(tmp_path / "users"))


def test_roles_bring_others_with_them(tmp_path: Path) -> None:
    write(tmp_path / "users", "# people", f"a:{hashed('x')}:p:Admin, service", "", f"b:{hashed('x')}:p")
    users = read_users(str(tmp_path / "users"))
    assert set(users["a"].roles.split(",")) == {"admin", "service", "manager", "member", "reader"}
    assert users["b"].roles == "member,reader"


def test_noauth_is_in_the_project_it_says(api: Any) -> None:
    result = api("POST", "loadbalancers", {"loadbalancer": {"vip_subnet_id": api.subnet_id}},
                 headers={"X-Project-Id": "said"})  # fmt: skip
    assert result.json["loadbalancer"]["project_id"] == "said"


def test_a_policy_file_overrides(fresh: Any, tmp_path: Path, user_file: Path) -> None:
    rules = {"os_load-balancer_api:loadbalancer:get_all": "role:observer", "load-balancer:write": "!"}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(rules))
    config = f"[oslo_policy]\npolicy_file = {tmp_path}/policy.yaml\n"
    api = fresh(config=config, auth_strategy="http_basic", http_basic_auth_user_file=str(user_file))
    new = {"loadbalancer": {"vip_subnet_id": api.subnet_id}}
    assert api("GET", "loadbalancers", user="alice").status_code == 403
    assert api("POST", "loadbalancers", new, user="root").status_code == 403
    assert api("GET", "loadbalancers", user="root").status_code == 200


ASKED: list[str] = []


@policy.register("counted")
class Counted(policy.Check):  # type: ignore[misc]
    """A rule of an operator that counts how often it is asked."""

    def __call__(self, target: object, creds: object, enforcer: object, current_rule: object = None) -> bool:
        ASKED.append(self.match)
        return True


def test_an_answer_of_the_policy_holds_for_the_same_askers_next_requests(fresh: Any, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump({f"{policies.PREFIX}loadbalancer:get_one": "counted:shown"}))
    api = fresh(config=f"[oslo_policy]\npolicy_file = {tmp_path}/policy.yaml\n")
    path = f"loadbalancers/{api.make('loadbalancers')['id']}"
    ASKED.clear()
    assert {api("GET", path).status_code for _ in range(30)} == {200}
    assert 0 < len(ASKED) < 30
    before = len(ASKED)
    assert api("GET", path, headers={"X-Project-Id": "another"}).status_code == 200
    assert len(ASKED) > before


def test_the_rules_have_the_names_of_existing_policy_files() -> None:
    names = [rule.name.removeprefix(policies.PREFIX) for rule in policies.list_rules()]
    actions = [rule.name for rule in policies.list_rules() if rule.name.startswith(policies.PREFIX)]
    assert len(set(actions) - {f"{policies.PREFIX}loadbalancer:get_events"}) == 81  # that one is Ottava's own
    assert len(set(names)) == len(names)
    assert {"healthmonitor:get_all-global", "l7rule:get_one", "loadbalancer:put_failover", "member:get_all",
            "flavor-profile:get_all", "amphora:put_config", "provider-availability-zone:get_all"} <= set(names)  # fmt: skip
    assert "member:get_all-global" not in names


def test_quotas_hold_for_projects(secure: Any) -> None:
    assert secure("PUT", "quotas/p-two", {"quota": {"member": 2, "listener": 1}}, user="root").status_code == 202
    balancer = secure.make("loadbalancers", "bob", listeners=[{"protocol": "TCP", "protocol_port": 1}])
    before = secure.everything()
    body = {"listener": {"loadbalancer_id": balancer["id"], "protocol": "TCP", "protocol_port": 2}}
    result = secure("POST", "listeners", body, user="bob")
    assert (result.status_code, result.json["faultstring"]) == (403, "Quota has been met for resources: Listener")
    body = {"loadbalancer": {"vip_subnet_id": secure.subnet_id, "listeners": [{"protocol": "TCP", "protocol_port": 1}]}}
    assert secure("POST", "loadbalancers", body, user="bob").status_code == 403
    assert secure.everything() == before, "a refusal left a port or an object behind"

    pool = secure.make("pools", "bob", loadbalancer_id=balancer["id"], protocol="TCP", lb_algorithm="SOURCE_IP")["id"]
    members = [{"address": f"198.18.0.{at}", "protocol_port": 1} for at in range(1, 6)]
    assert secure("PUT", f"pools/{pool}/members", {"members": members[:2]}, user="bob").status_code == 202
    assert secure("PUT", f"pools/{pool}/members", {"members": members[:3]}, user="bob").status_code == 403
    assert secure("PUT", f"pools/{pool}/members", {"members": members[1:3]}, user="bob").status_code == 202
    assert secure("DELETE", "quotas/p-two", user="root").status_code == 202
