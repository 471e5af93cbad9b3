# SPDX-License-Identifier: Apache-2.0
"""Tokens of a real Keystone: which are taken, for whom, and what is answered to the others."""

from pathlib import Path
from typing import Any

import pytest
from support.keystone import Keystone, Project, User

from .conftest import Api

AUDIT_MAP = Path(__file__).parent.parent.parent / "etc/audit_map.conf"

CONFIG = """
[keystone_authtoken]
www_authenticate_uri = {url}
auth_url = {url}
auth_type = password
username = {user.name}
password = {user.password}
user_domain_id = default
project_id = {user.project.id}
service_type = load-balancer
{more}
"""


@pytest.fixture(scope="module")
def projects(keystone: Keystone) -> dict[str, Project]:
    """Two of them."""
    return {name: keystone.project(name) for name in ("one", "two")}


@pytest.fixture(scope="module")
def users(keystone: Keystone, projects: dict[str, Project]) -> dict[str, User]:
    """Who comes."""
    one, two = projects["one"], projects["two"]
    return {
        "service": keystone.user("ottava", keystone.project("service"), ["service"]),
        "root": keystone.user("root", keystone.project("admins"), ["admin"]),
        "alice": keystone.user("alice", one, ["member"]),
        "reader": keystone.user("reader", one, ["reader"]),
        "bob": keystone.user("bob", two, ["member"]),
        "old": keystone.user("old", one, ["load-balancer_member"]),
        "system": keystone.user("system", None, ["admin"]),
    }


@pytest.fixture(scope="module")
def tokens(keystone: Keystone, users: dict[str, User]) -> dict[str, str]:
    """Theirs."""
    return {name: keystone.token(user) for name, user in users.items()}


@pytest.fixture(scope="module")
def cloud(keystone: Keystone, users: dict[str, User], tmp_path_factory: pytest.TempPathFactory) -> Api:
    """An API that asks Keystone."""
    config = CONFIG.format(url=keystone.url, user=users["service"], more="")
    return Api(tmp_path_factory.mktemp("cloud"), config, auth_strategy="keystone")


def ask(api: Api, token: str, method: str = "GET", path: str = "loadbalancers", body: object = None) -> Any:
    return api(method, path, body, headers={"X-Auth-Token": token})


def test_a_token_is_its_users_project_and_roles(
    cloud: Api, tokens: dict[str, str], projects: dict[str, Project]
) -> None:
    new = {"loadbalancer": {"vip_subnet_id": cloud.subnet_id}}
    made = ask(cloud, tokens["alice"], "POST", "loadbalancers", new).json["loadbalancer"]
    assert made["project_id"] == projects["one"].id
    path = f"loadbalancers/{made['id']}"
    statuses = {name: ask(cloud, tokens[name], "GET", path).status_code for name in tokens}
    assert statuses == {"service": 403, "root": 200, "alice": 200, "reader": 200, "bob": 403, "old": 403, "system": 403}
    statuses = {name: ask(cloud, tokens[name], "PUT", path, {"loadbalancer": {}}).status_code for name in tokens}
    assert statuses == {"service": 403, "root": 200, "alice": 200, "reader": 403, "bob": 403, "old": 403, "system": 403}
    assert ask(cloud, tokens["bob"]).json["loadbalancers"] == []
    assert ask(cloud, tokens["bob"], path=f"loadbalancers?project_id={projects['one'].id}").status_code == 403
    assert [each["id"] for each in ask(cloud, tokens["root"]).json["loadbalancers"]] == [made["id"]]


@pytest.mark.parametrize("kind", ["none", "empty", "junk", "expired", "revoked"])
def test_other_tokens_are_not(cloud: Api, keystone: Keystone, users: dict[str, User], kind: str) -> None:
    token = keystone.token(users["alice"])
    if kind == "revoked":
        keystone.revoke(token)
    given = {"none": None, "empty": "", "junk": "junk", "expired": keystone.expired(token), "revoked": token}[kind]
    result = cloud("GET", "loadbalancers", headers={} if given is None else {"X-Auth-Token": given})
    assert result.status_code == 401
    assert result.json["error"]["message"] == "The request you have made requires authentication."
    assert result.headers["www-authenticate"] == f'Keystone uri="{keystone.url}"'
    assert result.headers["x-openstack-request-id"].startswith("req-")


def test_headers_raise_nobody(cloud: Api, tokens: dict[str, str]) -> None:
    forged = {"X-Roles": "admin", "X-Project-Id": "p", "X-User-Id": "u", "OpenStack-System-Scope": "all",
              "X-Identity-Status": "Confirmed", "X-Domain-Id": "d"}  # fmt: skip
    for _ in range(2):  # the second time the token is remembered
        headers = {**forged, "X-Auth-Token": tokens["reader"]}
        assert cloud("GET", "loadbalancers", headers=headers).status_code == 200
        assert cloud("GET", "amphorae", headers=headers).status_code in (403, 404)
        assert cloud("GET", "quotas/defaults", headers=headers).status_code == 403
        assert cloud("GET", "loadbalancers", headers=forged).status_code == 401


@pytest.mark.parametrize("path", ["/", "/load-balancer/", "/openapi.json"])
def test_what_is_public_needs_no_token(cloud: Api, path: str) -> None:
    assert cloud("GET", path).status_code == 200


@pytest.mark.parametrize("path", ["/v2", "/v2/lbaas/loadbalancers", "/nothing"])
def test_what_is_not_needs_one(cloud: Api, path: str) -> None:
    assert cloud("GET", path).status_code == 401


def test_a_revoked_token_is_refused_once_the_memory_of_it_ends(
    keystone: Keystone, users: dict[str, User], tmp_path: Path
) -> None:
    config = CONFIG.format(url=keystone.url, user=users["service"], more="token_cache_time = -1")
    api = Api(tmp_path, config, auth_strategy="keystone")
    token = keystone.token(users["alice"])
    assert ask(api, token).status_code == 200
    keystone.revoke(token)
    assert ask(api, token).status_code == 401


def test_a_remembered_token_needs_no_keystone(keystone: Keystone, users: dict[str, User], cloud: Api) -> None:
    token = keystone.token(users["alice"])
    assert ask(cloud, token).status_code == 200
    keystone.revoke(token)
    assert ask(cloud, token).status_code == 200, "it was asked again"


def test_without_keystone_it_says_so(users: dict[str, User], tmp_path: Path) -> None:
    gone = CONFIG.format(url="http://127.0.0.1:1/v3", user=users["service"], more="http_request_max_retries = 0")
    api = Api(tmp_path, gone, auth_strategy="keystone")
    result = ask(api, "any")
    assert result.status_code == 503
    assert result.json["faultstring"] == "Keystone does not answer. Please try again."
    assert api("GET", "/").status_code == 200


def test_a_service_user_that_keystone_does_not_know(keystone: Keystone, users: dict[str, User], tmp_path: Path) -> None:
    wrong = CONFIG.format(url=keystone.url, user=users["service"], more="").replace(users["service"].password, "wrong")
    assert ask(Api(tmp_path, wrong, auth_strategy="keystone"), "any").status_code == 503


def test_a_token_that_is_limited_to_some_requests(cloud: Api, keystone: Keystone, users: dict[str, User]) -> None:
    keystone.endpoint("http://198.51.100.1/load-balancer")
    rules = [{"service": "load-balancer", "method": "GET", "path": "/v2/lbaas/loadbalancers"}]
    token = keystone.application_credential(users["alice"], access_rules=rules)
    for _ in range(2):
        assert ask(cloud, token).status_code == 200
        assert ask(cloud, token, path="/v2.0/lbaas/loadbalancers").status_code == 401
        assert ask(cloud, token, path="listeners").status_code == 401


@pytest.mark.parametrize(("by", "status"), [("service", 200), ("alice", 401), ("", 401)])
def test_a_service_may_go_on_with_a_token_that_ended(
    cloud: Api, keystone: Keystone, users: dict[str, User], tokens: dict[str, str], by: str, status: int
) -> None:
    headers = {"X-Auth-Token": keystone.expired(keystone.token(users["alice"]))}
    if by:
        headers["X-Service-Token"] = tokens[by]
    assert [cloud("GET", "loadbalancers", headers=headers).status_code for _ in range(2)] == [status, status]
    headers.pop("X-Service-Token", None)
    assert cloud("GET", "loadbalancers", headers=headers).status_code == 401, "it was remembered without the service"


def test_audit_names_the_service_and_the_user(
    keystone: Keystone, users: dict[str, User], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keystone.endpoint("http://198.51.100.2")
    audit = f"[audit]\nenabled = true\naudit_map_file = {AUDIT_MAP}\n"
    config = CONFIG.format(url=keystone.url, user=users["service"], more="") + audit
    api = Api(tmp_path, config, auth_strategy="keystone")
    token = keystone.token(users["alice"])
    for _ in range(2):  # the second time the token is remembered
        caplog.clear()
        with caplog.at_level("INFO", "keystonemiddleware.audit"):
            assert ask(api, token, path="loadbalancers/none").status_code == 404
        told = caplog.text
        assert "'typeURI': 'service/load-balancer/loadbalancers/loadbalancer'" in told
        assert f"'name': '{users['alice'].name}'" in told
        assert token not in told
