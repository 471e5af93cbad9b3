# SPDX-License-Identifier: Apache-2.0
"""Every `openstack loadbalancer` command of the unmodified client, against a real Keystone.

What a command has done is looked up through the API. A command that the installed client has and no test runs fails.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.cloud import Cloud
from support.shell import COMMANDS, Group, Shell, group

TREE = ("listener", "pool", "member", "healthmonitor", "l7policy", "l7rule")
CATALOGUES = ("flavor", "flavorprofile", "availabilityzone", "availabilityzoneprofile")
OTHERS = ("loadbalancer", "quota", "provider", "amphora")


@pytest.fixture(scope="module")
def shell(shared_cloud: Cloud) -> Iterator[Shell]:
    """One `openstack` of the administrator for all."""
    found = Shell(shared_cloud.environment())
    yield found
    found.close()


@pytest.fixture
def run(shell: Shell, request: pytest.FixtureRequest) -> Iterator[Group]:
    """The group of commands that the test is named for. Fails unless every one of them is run."""
    found = Group(shell, request.node.name.removeprefix("test_"))
    yield found
    assert found.commands - found.ran == set()


def test_no_group_of_commands_is_forgotten() -> None:
    assert {group(each) for each in COMMANDS} == {*TREE, *CATALOGUES, *OTHERS}


def _names(rows: list[dict[str, Any]]) -> set[str]:
    return {row["name"] for row in rows}


def test_loadbalancer(run: Group, cloud: Cloud) -> None:
    made = run.shows("create", "--name", "one", "--description", "the first; of two", "--vip-subnet-id", "lan-ipv4",
                     "--provider", "octavia", "--disable", "--tag", "red", "--tag", "big", "--wait")  # fmt: skip
    one = cloud.get("loadbalancers", made["id"])
    assert (one["name"], one["description"], one["provider"]) == ("one", "the first; of two", "octavia")
    assert one["provisioning_status"] == made["provisioning_status"] == "ACTIVE"
    assert (one["vip_subnet_id"], one["admin_state_up"]) == (cloud.subnet_id, False)
    assert one["project_id"] == cloud.project_id
    assert sorted(one["tags"]) == ["big", "red"]

    run.does("set", "--name", "uno", "--enable", "--vip-qos-policy-id", "None", "--tag", "old", "--wait", "one")
    one = cloud.get("loadbalancers", one["id"])
    assert (one["name"], one["admin_state_up"], sorted(one["tags"])) == ("uno", True, ["big", "old", "red"])
    two = run.shows("create", "--name", "two", "--vip-network-id", "lan", "--vip-address", cloud.address(77),
                    "--project", cloud.other_project, "--tag", "red")  # fmt: skip
    assert two["vip_address"] == cloud.address(77)
    assert cloud.get("loadbalancers", two["id"])["project_id"] == cloud.other_project_id

    assert _names(run.shows("list")) == {"uno", "two"}
    assert _names(run.shows("list", "--name", "uno")) == {"uno"}
    assert _names(run.shows("list", "--project", cloud.other_project)) == {"two"}
    assert _names(run.shows("list", "--disable")) == set()
    assert _names(run.shows("list", "--provider", "octavia", "--provisioning-status", "ACTIVE")) == {"uno"}
    assert _names(run.shows("list", "--tags", "red,big")) == {"uno"}
    assert _names(run.shows("list", "--any-tags", "old,red")) == {"uno", "two"}
    assert _names(run.shows("list", "--not-tags", "red,big")) == {"two"}
    assert _names(run.shows("list", "--not-any-tags", "old,blue")) == {"two"}

    run.does("unset", "--description", "--tag", "red", "--wait", "uno")
    one = cloud.get("loadbalancers", one["id"])
    assert (one["description"], sorted(one["tags"])) == ("", ["big", "old"])
    run.does("unset", "--name", "--all-tag", "--vip-qos-policy-id", one["id"])
    one = cloud.get("loadbalancers", one["id"])
    assert (one["name"], one["tags"], one["vip_qos_policy_id"]) == ("", [], None)

    cloud.post("listeners", loadbalancer_id=one["id"], name="http", protocol="HTTP", protocol_port=80)
    shown = run.shows("show", one["id"])
    assert (shown["vip_address"], shown["tags"]) == (one["vip_address"], [])
    tree = json.loads(run.says("status", "show", one["id"]))
    assert _names(tree["loadbalancer"]["listeners"]) == {"http"}
    stats = run.shows("stats", "show", one["id"])
    assert stats == dict.fromkeys(
        ("active_connections", "bytes_in", "bytes_out", "request_errors", "total_connections"), 0
    )
    before = cloud.amphorae(one["id"])
    run.does("failover", "--wait", one["id"])
    assert before.isdisjoint(cloud.amphorae(one["id"]))

    assert "children" in run.says("delete", one["id"])
    run.does("delete", "--cascade", "--wait", one["id"])
    run.does("delete", "two")
    assert cloud.list("loadbalancers") == cloud.list("listeners") == []
    assert "Unable to locate two" in run.says("show", "two")


def test_listener(run: Group, cloud: Cloud, balancer: dict[str, Any]) -> None:
    pool = cloud.post("pools", loadbalancer_id=balancer["id"], name="p", protocol="HTTP", lb_algorithm="SOURCE_IP")
    made = run.shows("create", "--name", "web", "--description", "d", "--protocol", "HTTP", "--protocol-port", "80",
                     "--connection-limit", "10", "--default-pool", "p", "--insert-headers",
                     "X-Forwarded-For=true,X-Forwarded-Port=true", "--timeout-client-data", "1000",
                     "--timeout-member-connect", "2000", "--timeout-member-data", "3000", "--timeout-tcp-inspect",
                     "4", "--allowed-cidr", "198.18.0.0/24", "--allowed-cidr", "198.18.1.7", "--tag", "a",
                     "--wait", balancer["name"])  # fmt: skip
    web = cloud.get("listeners", made["id"])
    assert (web["loadbalancers"], web["default_pool_id"]) == ([{"id": balancer["id"]}], pool["id"])
    assert (web["protocol"], web["protocol_port"], web["connection_limit"]) == ("HTTP", 80, 10)
    assert web["insert_headers"] == {"X-Forwarded-For": "true", "X-Forwarded-Port": "true"}
    assert web["allowed_cidrs"] == ["198.18.0.0/24", "198.18.1.7/32"]
    assert [web[f"timeout_{name}"] for name in ("client_data", "member_connect", "member_data", "tcp_inspect")] == [
        1000, 2000, 3000, 4]  # fmt: skip

    tls = run.shows("create", "--name", "tls", "--protocol", "TERMINATED_HTTPS", "--protocol-port", "443",
                    "--default-tls-container-ref", cloud.secret("a"), "--sni-container-refs", cloud.secret("b"),
                    cloud.secret("c"), "--client-ca-tls-container-ref", cloud.secret("ca"),
                    "--client-authentication", "OPTIONAL", "--client-crl-container-ref", cloud.secret("crl"),
                    "--tls-ciphers", "ECDHE-RSA-AES128-GCM-SHA256", "--tls-version", "TLSv1.3", "--alpn-protocol",
                    "h2", "--alpn-protocol", "http/1.1", "--hsts-max-age", "60", "--hsts-preload", "--disable",
                    "--wait", balancer["name"])  # fmt: skip
    shown = run.shows("show", "tls")
    assert (shown["default_tls_container_ref"], shown["client_authentication"]) == (cloud.secret("a"), "OPTIONAL")
    tls = cloud.get("listeners", tls["id"])
    assert sorted(tls["sni_container_refs"]) == [cloud.secret("b"), cloud.secret("c")]
    assert (tls["tls_versions"], tls["alpn_protocols"]) == (["TLSv1.3"], ["h2", "http/1.1"])
    assert (tls["hsts_max_age"], tls["hsts_preload"], tls["hsts_include_subdomains"]) == (60, True, False)
    assert not tls["admin_state_up"]

    run.does("set", "--name", "secure", "--enable", "--hsts-include-subdomains", "--connection-limit", "7", "--tag",
             "s", "--wait", "tls")  # fmt: skip
    tls = cloud.get("listeners", tls["id"])
    assert (tls["name"], tls["admin_state_up"], tls["connection_limit"]) == ("secure", True, 7)
    assert (tls["hsts_include_subdomains"], tls["tags"]) == (True, ["s"])
    assert _names(run.shows("list", "--loadbalancer", balancer["name"])) == {"web", "secure"}
    assert _names(run.shows("list", "--loadbalancer", balancer["id"], "--tags", "a")) == {"web"}
    assert _names(run.shows("list", "--name", "secure", "--enable")) == {"secure"}

    run.does("unset", "--name", "--description", "--connection-limit", "--default-pool", "--insert-headers",
             "--timeout-client-data", "--timeout-member-connect", "--timeout-member-data", "--timeout-tcp-inspect",
             "--allowed-cidrs", "--all-tag", "--wait", "web")  # fmt: skip
    web = cloud.get("listeners", web["id"])
    assert (web["name"], web["description"], web["connection_limit"], web["default_pool_id"]) == ("", "", -1, None)
    assert [web[f"timeout_{name}"] for name in ("client_data", "member_connect", "member_data", "tcp_inspect")] == [
        50000, 5000, 50000, 0]  # fmt: skip
    assert (web["insert_headers"], web["allowed_cidrs"], web["tags"]) == ({}, None, [])
    run.does("unset", "--client-authentication", "--client-crl-container-ref", "secure")
    run.does("unset", "--client-ca-tls-container-ref", "--sni-container-refs", "--tls-versions", "--tls-ciphers",
             "--alpn-protocols", "--hsts-max-age", "--hsts-include-subdomains", "--hsts-preload", "secure")  # fmt: skip
    tls = cloud.get("listeners", tls["id"])
    assert (tls["client_authentication"], tls["client_crl_container_ref"]) == ("NONE", None)
    assert (tls["client_ca_tls_container_ref"], tls["sni_container_refs"]) == (None, [])
    assert (tls["tls_versions"], len(tls["tls_ciphers"].split(":"))) == (["TLSv1.2", "TLSv1.3"], 12)
    assert tls["alpn_protocols"] == ["h2", "http/1.1", "http/1.0"]
    assert (tls["hsts_max_age"], tls["hsts_include_subdomains"], tls["hsts_preload"]) == (None, False, False)

    assert run.shows("stats", "show", "secure")["total_connections"] == 0
    run.does("delete", "--wait", "secure")
    assert [each["id"] for each in cloud.list("listeners")] == [web["id"]]


def test_pool(run: Group, cloud: Cloud, balancer: dict[str, Any]) -> None:
    listener = cloud.post("listeners", loadbalancer_id=balancer["id"], name="l", protocol="HTTP", protocol_port=80)
    made = run.shows("create", "--name", "web", "--description", "d", "--protocol", "HTTP", "--listener", "l",
                     "--lb-algorithm", "ROUND_ROBIN", "--session-persistence", "type=APP_COOKIE,cookie_name=sid",
                     "--tag", "a", "--wait")  # fmt: skip
    web = cloud.get("pools", made["id"])
    assert (web["listeners"], web["loadbalancers"]) == ([{"id": listener["id"]}], [{"id": balancer["id"]}])
    assert (web["session_persistence"]["type"], web["session_persistence"]["cookie_name"]) == ("APP_COOKIE", "sid")
    tls = run.shows("create", "--name", "tls", "--protocol", "HTTP", "--loadbalancer", balancer["name"],
                    "--lb-algorithm", "SOURCE_IP", "--enable-tls", "--tls-container-ref", cloud.secret("a"),
                    "--ca-tls-container-ref", cloud.secret("ca"), "--crl-container-ref", cloud.secret("crl"),
                    "--tls-ciphers", "ECDHE-RSA-AES128-GCM-SHA256", "--tls-version", "TLSv1.2",
                    "--alpn-protocol", "h2", "--disable", "--wait")  # fmt: skip
    tls = cloud.get("pools", tls["id"])
    assert (tls["tls_enabled"], tls["tls_container_ref"], tls["admin_state_up"]) == (True, cloud.secret("a"), False)
    assert (tls["tls_versions"], tls["alpn_protocols"]) == (["TLSv1.2"], ["h2"])

    run.does("set", "--name", "other", "--lb-algorithm", "LEAST_CONNECTIONS", "--enable", "--disable-tls",
             "--session-persistence", "type=SOURCE_IP", "--crl-container-ref", "None", "--no-tag", "--tag", "t",
             "--wait", "tls")  # fmt: skip
    tls = cloud.get("pools", tls["id"])
    assert (tls["name"], tls["lb_algorithm"], tls["tls_enabled"]) == ("other", "LEAST_CONNECTIONS", False)
    assert (tls["session_persistence"]["type"], tls["crl_container_ref"]) == ("SOURCE_IP", None)
    assert (tls["admin_state_up"], tls["tags"]) == (True, ["t"])
    assert _names(run.shows("list")) == {"web", "other"}
    assert _names(run.shows("list", "--loadbalancer", balancer["name"], "--not-tags", "a")) == {"other"}
    assert run.shows("show", "web")["protocol"] == "HTTP"

    run.does("unset", "--name", "--description", "--session-persistence", "--all-tag", "--wait", "web")
    web = cloud.get("pools", web["id"])
    assert (web["name"], web["description"], web["session_persistence"], web["tags"]) == ("", "", None, [])
    run.does("unset", "--tls-container-ref", "--ca-tls-container-ref", "--tls-versions", "--tls-ciphers",
             "--alpn-protocols", "other")  # fmt: skip
    tls = cloud.get("pools", tls["id"])
    assert (tls["tls_container_ref"], tls["ca_tls_container_ref"], tls["alpn_protocols"]) == (None, None, None)
    assert (tls["tls_versions"], len(tls["tls_ciphers"].split(":"))) == (["TLSv1.2", "TLSv1.3"], 12)
    run.does("delete", "--wait", "other")
    run.does("delete", web["id"])
    assert cloud.list("pools") == []
    assert cloud.get("listeners", listener["id"])["default_pool_id"] is None


def test_member(run: Group, cloud: Cloud, balancer: dict[str, Any]) -> None:
    pool = cloud.post("pools", loadbalancer_id=balancer["id"], name="p", protocol="HTTP", lb_algorithm="SOURCE_IP")
    members = f"pools/{pool['id']}/members"
    made = run.shows("create", "--name", "m", "--address", cloud.address(9), "--protocol-port", "8080", "--weight",
                     "5", "--enable-backup", "--subnet-id", "lan-ipv4", "--monitor-port", "81", "--monitor-address",
                     cloud.address(10), "--tag", "a", "--disable", "--wait", "p")  # fmt: skip
    member = cloud.get(members, made["id"])
    assert (member["address"], member["protocol_port"], member["weight"]) == (cloud.address(9), 8080, 5)
    assert (member["backup"], member["subnet_id"], member["admin_state_up"]) == (True, cloud.subnet_id, False)
    assert (member["monitor_port"], member["monitor_address"]) == (81, cloud.address(10))
    run.does("set", "--name", "n", "--weight", "0", "--disable-backup", "--enable", "--monitor-port", "82", "--tag",
             "b", "--wait", "p", "m")  # fmt: skip
    member = cloud.get(members, made["id"])
    assert (member["name"], member["weight"], member["backup"]) == ("n", 0, False)
    assert (member["admin_state_up"], member["monitor_port"], sorted(member["tags"])) == (True, 82, ["a", "b"])
    cloud.post(members, name="second", address=cloud.address(11), protocol_port=80)
    assert _names(run.shows("list", "p")) == {"n", "second"}
    assert _names(run.shows("list", "--tags", "a,b", "p")) == {"n"}
    assert run.shows("show", "p", "n")["weight"] == 0
    run.does("unset", "--name", "--weight", "--backup", "--monitor-port", "--monitor-address", "--tag", "a", "--wait",
             "p", "n")  # fmt: skip
    member = cloud.get(members, made["id"])
    assert (member["name"], member["weight"], member["backup"], member["tags"]) == ("", 1, False, ["b"])
    assert (member["monitor_port"], member["monitor_address"]) == (None, None)
    run.does("delete", "--wait", "p", member["id"])
    assert _names(cloud.list(members)) == {"second"}
    assert "already using" in run.says("create", "--address", cloud.address(11), "--protocol-port", "80", "p")


def test_healthmonitor(run: Group, cloud: Cloud, balancer: dict[str, Any]) -> None:
    pool = cloud.post("pools", loadbalancer_id=balancer["id"], name="p", protocol="HTTP", lb_algorithm="SOURCE_IP")
    made = run.shows("create", "--name", "hm", "--type", "HTTP", "--delay", "5", "--timeout", "4", "--max-retries",
                     "2", "--max-retries-down", "4", "--http-method", "HEAD", "--url-path", "/up", "--expected-codes",
                     "200-204", "--http-version", "1.1", "--domain-name", "example.org", "--tag", "a", "--wait",
                     "p")  # fmt: skip
    monitor = cloud.get("healthmonitors", made["id"])
    assert monitor["pools"] == [{"id": pool["id"]}]
    assert [monitor[name] for name in ("delay", "timeout", "max_retries", "max_retries_down")] == [5, 4, 2, 4]
    assert [monitor[name] for name in ("http_method", "url_path", "expected_codes", "http_version", "domain_name")
            ] == ["HEAD", "/up", "200-204", 1.1, "example.org"]  # fmt: skip
    run.does("set", "--name", "other", "--delay", "6", "--timeout", "3", "--max-retries", "3", "--http-method", "GET",
             "--url-path", "/x", "--expected-codes", "200,202", "--disable", "--tag", "b", "--wait", "hm")  # fmt: skip
    monitor = cloud.get("healthmonitors", made["id"])
    assert [monitor[name] for name in ("name", "delay", "timeout", "max_retries")] == ["other", 6, 3, 3]
    assert [monitor[name] for name in ("http_method", "url_path", "expected_codes")] == ["GET", "/x", "200,202"]
    assert (monitor["admin_state_up"], sorted(monitor["tags"])) == (False, ["a", "b"])
    assert _names(run.shows("list", "--any-tags", "b,c")) == {"other"}
    assert run.shows("list", "--not-tags", "a") == []
    assert run.shows("show", "other")["delay"] == 6
    run.does("unset", "--domain-name", "--http-version", "--expected-codes", "--http-method", "--url-path",
             "--max-retries-down", "--name", "--all-tag", "--wait", "other")  # fmt: skip
    monitor = cloud.get("healthmonitors", made["id"])
    assert [monitor[name] for name in ("http_method", "url_path", "expected_codes")] == ["GET", "/", "200"]
    assert (monitor["domain_name"], monitor["http_version"], monitor["max_retries_down"]) == (None, None, 3)
    assert (monitor["name"], monitor["tags"]) == ("", [])
    run.does("delete", "--wait", monitor["id"])
    assert cloud.list("healthmonitors") == []


def test_l7policy(run: Group, cloud: Cloud, balancer: dict[str, Any]) -> None:
    pool = cloud.post("pools", loadbalancer_id=balancer["id"], name="p", protocol="HTTP", lb_algorithm="SOURCE_IP")
    listener = cloud.post("listeners", loadbalancer_id=balancer["id"], name="l", protocol="HTTP", protocol_port=80)
    made = run.shows("create", "--name", "first", "--description", "d", "--action", "REDIRECT_TO_URL",
                     "--redirect-url", "https://example.org/a?b=c", "--redirect-http-code", "301", "--tag", "a",
                     "--wait", "l")  # fmt: skip
    policy = cloud.get("l7policies", made["id"])
    assert (policy["listener_id"], policy["position"]) == (listener["id"], 1)
    assert (policy["redirect_url"], policy["redirect_http_code"]) == ("https://example.org/a?b=c", 301)
    run.shows("create", "--name", "to-pool", "--action", "REDIRECT_TO_POOL", "--redirect-pool", "p", "--position",
              "1", "--disable", "l")  # fmt: skip
    assert {each["name"]: each["position"] for each in cloud.list("l7policies")} == {"to-pool": 1, "first": 2}
    assert cloud.named("l7policies", "to-pool")["redirect_pool_id"] == pool["id"]
    run.does("unset", "--redirect-http-code", "--description", "first")
    policy = cloud.get("l7policies", made["id"])
    assert (policy["redirect_http_code"], policy["description"]) == (302, "")
    run.does("set", "--action", "REDIRECT_PREFIX", "--redirect-prefix", "https://example.org", "--position", "1",
             "--name", "moved", "--tag", "b", "--wait", "first")  # fmt: skip
    policy = cloud.get("l7policies", made["id"])
    assert (policy["action"], policy["redirect_prefix"]) == ("REDIRECT_PREFIX", "https://example.org")
    assert (policy["redirect_url"], policy["position"], sorted(policy["tags"])) == (None, 1, ["a", "b"])
    assert _names(run.shows("list")) == {"moved", "to-pool"}
    assert _names(run.shows("list", "--listener", "l", "--tags", "a")) == {"moved"}
    assert run.shows("show", "moved")["position"] == 1
    run.does("unset", "--name", "--tag", "a", "--wait", "moved")
    policy = cloud.get("l7policies", made["id"])
    assert (policy["name"], policy["tags"]) == ("", ["b"])
    run.does("delete", "--wait", policy["id"])
    assert {each["name"]: each["position"] for each in cloud.list("l7policies")} == {"to-pool": 1}


def test_l7rule(run: Group, cloud: Cloud, balancer: dict[str, Any]) -> None:
    listener = cloud.post("listeners", loadbalancer_id=balancer["id"], name="l", protocol="HTTP", protocol_port=80)
    policy = cloud.post("l7policies", listener_id=listener["id"], name="po", action="REJECT")
    rules = f"l7policies/{policy['id']}/rules"
    made = run.shows("create", "--type", "HEADER", "--compare-type", "STARTS_WITH", "--key", "X-Kind", "--value",
                     "a b".replace(" ", "-"), "--invert", "--tag", "a", "--wait", "po")  # fmt: skip
    rule = cloud.get(rules, made["id"])
    assert [rule[name] for name in ("type", "compare_type", "key", "value", "invert")] == [
        "HEADER", "STARTS_WITH", "X-Kind", "a-b", True]  # fmt: skip
    run.does("set", "--compare-type", "REGEX", "--value", "^a(b|c)$", "--disable", "--tag", "b", "--wait", "po",
             rule["id"])  # fmt: skip
    rule = cloud.get(rules, rule["id"])
    assert (rule["compare_type"], rule["value"], rule["admin_state_up"]) == ("REGEX", "^a(b|c)$", False)
    assert [each["id"] for each in run.shows("list", "--tags", "a,b", "po")] == [rule["id"]]
    assert run.shows("list", "--not-tags", "a", "po") == []
    assert run.shows("show", "po", rule["id"])["value"] == "^a(b|c)$"
    run.does("unset", "--invert", "--tag", "a", "--wait", "po", rule["id"])
    rule = cloud.get(rules, rule["id"])
    assert (rule["invert"], rule["tags"]) == (False, ["b"])
    run.does("set", "--type", "PATH", "po", rule["id"])
    run.does("unset", "--key", "--all-tag", "po", rule["id"])
    rule = cloud.get(rules, rule["id"])
    assert (rule["type"], rule["key"], rule["tags"]) == ("PATH", None, [])
    run.does("delete", "--wait", "po", rule["id"])
    assert cloud.list(rules) == []


def test_quota(run: Group, shell: Shell, cloud: Cloud) -> None:
    project, id = cloud.other_project, cloud.other_project_id
    defaults = run.shows("defaults", "show")
    assert set(defaults.values()) == {-1}
    told = run.shows("set", "--loadbalancer", "1", "--listener", "2", "--pool", "3", "--member", "4",
                     "--healthmonitor", "5", "--l7policy", "6", "--l7rule", "7", project)  # fmt: skip
    names = ("loadbalancer", "listener", "pool", "member", "healthmonitor", "l7policy", "l7rule")
    quota = cloud.get("quotas", id)
    assert [quota[name] for name in names] == [1, 2, 3, 4, 5, 6, 7]
    assert (quota["load_balancer"], quota["health_monitor"]) == (1, 5)
    assert told["load_balancer"] == 1
    assert run.shows("show", project)["l7rule"] == 7
    listed = run.shows("list", "--project", id)
    assert [(each["project_id"], each["pool"]) for each in listed] == [(id, 3)]
    run.does("unset", "--loadbalancer", "--listener", "--pool", "--member", "--healthmonitor", project)
    quota = cloud.get("quotas", id)
    assert [quota[name] for name in names] == [-1, -1, -1, -1, -1, 6, 7]
    run.does("unset", "--l7policy", "--l7rule", project)
    assert {cloud.get("quotas", id)[name] for name in names} == {-1}
    run.shows("set", "--loadbalancer", "0", project)
    said = Group(shell, "loadbalancer").says("create", "--vip-subnet-id", "lan-ipv4", "--project", project)
    assert "Quota has been met for resources: Load Balancer" in said
    run.does("reset", project)
    assert cloud.get("quotas", id)["loadbalancer"] == -1
    assert id not in {each["project_id"] for each in cloud.list("quotas")}


def test_provider(run: Group, cloud: Cloud) -> None:
    listed = run.shows("list")
    assert {each["name"]: each["description"] for each in listed} == {
        each["name"]: each["description"] for each in cloud.list("providers")
    }
    both = run.shows("capability", "list", "octavia")
    assert {each["type"] for each in both} == {"flavor", "availability_zone"}
    flavor = run.shows("capability", "list", "--flavor", "octavia")
    zone = run.shows("capability", "list", "--availability-zone", "octavia")
    for rows, word in ((flavor, "flavor"), (zone, "availability_zone")):
        told = cloud.ask("GET", f"providers/octavia/{word}_capabilities")[f"{word}_capabilities"]
        assert [(each["name"], each["description"]) for each in rows] == [
            (each["name"], each["description"]) for each in told
        ]
        assert rows


def test_flavorprofile(run: Group, cloud: Cloud) -> None:
    data = {"loadbalancer_topology": "SINGLE"}
    made = run.shows("create", "--name", "small", "--provider", "octavia", "--flavor-data",
                     json.dumps(data))  # fmt: skip
    profile = cloud.get("flavorprofiles", made["id"])
    assert (profile["name"], profile["provider_name"]) == ("small", "octavia")
    assert json.loads(profile["flavor_data"]) == data
    run.does("set", "--name", "tiny", "--provider", "amphora", "--flavor-data", "{}", "small")
    profile = cloud.get("flavorprofiles", made["id"])
    assert [profile[name] for name in ("name", "provider_name", "flavor_data")] == ["tiny", "amphora", "{}"]
    assert _names(run.shows("list")) == {"tiny"}
    assert run.shows("list", "--provider", "octavia") == []
    assert run.shows("show", "tiny")["id"] == made["id"]
    run.does("delete", "tiny")
    assert cloud.list("flavorprofiles") == []


def test_flavor(run: Group, shell: Shell, cloud: Cloud) -> None:
    profile = cloud.post("flavorprofiles", name="pro", provider_name="octavia", flavor_data="{}")
    made = run.shows("create", "--name", "small", "--flavorprofile", "pro", "--description", "d",
                     "--disable")  # fmt: skip
    flavor = cloud.get("flavors", made["id"])
    assert [flavor[name] for name in ("name", "description", "enabled", "flavor_profile_id")] == [
        "small", "d", False, profile["id"]]  # fmt: skip
    balancers = Group(shell, "loadbalancer")
    assert "not allowed" in balancers.says("create", "--vip-subnet-id", "lan-ipv4", "--flavor", "small")
    run.does("set", "--name", "tiny", "--enable", "small")
    flavor = cloud.get("flavors", made["id"])
    assert (flavor["name"], flavor["enabled"]) == ("tiny", True)
    assert _names(run.shows("list", "--enable", "--flavorprofile", "pro")) == {"tiny"}
    assert run.shows("list", "--disable") == []
    assert run.shows("show", "tiny")["description"] == "d"
    run.does("unset", "--description", "tiny")
    assert cloud.get("flavors", made["id"])["description"] == ""
    balancer = balancers.shows("create", "--vip-subnet-id", "lan-ipv4", "--flavor", "tiny")
    assert cloud.get("loadbalancers", balancer["id"])["flavor_id"] == made["id"]
    assert "in use" in run.says("delete", "tiny")
    balancers.does("delete", balancer["id"])
    run.does("delete", "tiny")
    assert cloud.list("flavors") == []


def test_availabilityzoneprofile(run: Group, cloud: Cloud) -> None:
    made = run.shows("create", "--name", "north", "--provider", "octavia", "--availability-zone-data",
                     '{"compute_zone": "n; s"}')  # fmt: skip
    profile = cloud.get("availabilityzoneprofiles", made["id"])
    assert json.loads(profile["availability_zone_data"]) == {"compute_zone": "n; s"}
    run.does("set", "--name", "south", "--provider", "amphora", "--availability-zone-data", "{}", "north")
    profile = cloud.get("availabilityzoneprofiles", made["id"])
    assert [profile[name] for name in ("name", "provider_name", "availability_zone_data")] == [
        "south", "amphora", "{}"]  # fmt: skip
    assert _names(run.shows("list", "--provider", "amphora")) == {"south"}
    assert run.shows("list", "--name", "north") == []
    assert run.shows("show", "south")["id"] == made["id"]
    run.does("delete", "south")
    assert cloud.list("availabilityzoneprofiles") == []


def test_availabilityzone(run: Group, cloud: Cloud) -> None:
    profile = cloud.post("availabilityzoneprofiles", name="pro", provider_name="octavia",
                         availability_zone_data="{}")  # fmt: skip
    run.shows("create", "--name", "north", "--availabilityzoneprofile", "pro", "--description", "d")
    zone = cloud.get("availabilityzones", "north")
    assert [zone[name] for name in ("name", "description", "enabled", "availability_zone_profile_id")] == [
        "north", "d", True, profile["id"]]  # fmt: skip
    run.does("set", "--description", "e", "--disable", "north")
    zone = cloud.get("availabilityzones", "north")
    assert (zone["description"], zone["enabled"]) == ("e", False)
    assert _names(run.shows("list", "--disable", "--availabilityzoneprofile", "pro")) == {"north"}
    assert run.shows("list", "--enable") == []
    assert run.shows("show", "north")["description"] == "e"
    run.does("unset", "--description", "north")
    assert cloud.get("availabilityzones", "north")["description"] == ""
    run.does("delete", "north")
    assert cloud.list("availabilityzones") == []


def test_amphora(run: Group, cloud: Cloud, balancer: dict[str, Any]) -> None:
    listener = cloud.post("listeners", loadbalancer_id=balancer["id"], name="l", protocol="HTTP", protocol_port=80)
    (id,) = cloud.amphorae(balancer["id"])
    listed = run.shows("list", "--loadbalancer", balancer["name"], "--status", "ALLOCATED")
    assert [each["id"] for each in listed] == [id]
    assert run.shows("list", "--loadbalancer", balancer["name"], "--role", "BACKUP") == []
    shown = run.shows("show", id)
    assert (shown["loadbalancer_id"], shown["ha_ip"]) == (balancer["id"], balancer["vip_address"])
    run.does("configure", "--wait", id)
    cloud.counted(id, listener["id"], balancer["id"], bytes_in=5, total_connections=2)
    stats = run.shows("stats", "show", "--listener", "l", id)
    assert (stats["bytes_in"], stats["total_connections"]) == (5, 2)
    run.does("failover", "--wait", id)
    (new,) = cloud.amphorae(balancer["id"])
    assert new != id
    assert "immutable" in run.says("delete", new)
    cloud.broken(new)
    run.does("delete", "--wait", new)
    assert new not in cloud.amphorae(balancer["id"])
