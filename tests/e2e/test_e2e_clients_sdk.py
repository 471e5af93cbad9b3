# SPDX-License-Identifier: Apache-2.0
"""Every method of the load balancer proxy of the unmodified openstacksdk, against a real Keystone.

What a method has done is looked up through the API. A method that the installed SDK has and no test uses fails.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openstack import exceptions
from openstack.load_balancer.v2._proxy import Proxy
from support.cloud import Cloud

METHODS = frozenset(name for name, value in vars(Proxy).items() if callable(value) and not name.startswith("_"))
NOUNS = (
    "provider",
    "availability_zone_profile",
    "availability_zone",
    "flavor_profile",
    "flavor",
    "load_balancer",
    "listener",
    "pool",
    "member",
    "health_monitor",
    "l7_policy",
    "l7_rule",
    "quota",
    "amphora",
)
GENERIC = "load_balancer"
"""What the methods that name no resource, like wait_for_delete, are tested with."""


def noun(method: str) -> str:
    """What a method is about.

    >>> noun("l7_policies"), noun("wait_for_delete")
    ('l7_policy', 'load_balancer')
    """
    singular = method.replace("policies", "policy")
    return next((each for each in NOUNS if each in singular), GENERIC)


class Recorder:
    """Passes everything on to the proxy, and keeps what was used."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.used.add(name)
        return getattr(self.proxy, name)


@pytest.fixture(scope="module")
def proxy(shared_cloud: Cloud) -> Iterator[Proxy]:
    """That of the administrator."""
    connection = shared_cloud.sdk()
    yield connection.load_balancer
    connection.close()


@pytest.fixture
def use(proxy: Proxy, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The proxy. Fails unless every method about what the test is named for is used."""
    about = request.node.name.removeprefix("test_")
    recorder = Recorder(proxy)
    yield recorder
    assert {each for each in METHODS if noun(each) == about} - recorder.used == set()


def test_no_method_is_forgotten() -> None:
    assert {noun(each) for each in METHODS} == set(NOUNS)
    assert {f"test_{each}" for each in NOUNS} <= set(globals())


def _gone(look: Callable[[], object]) -> bool:
    with pytest.raises(exceptions.NotFoundException):
        look()
    return True


def test_load_balancer(use: Any, cloud: Cloud) -> None:
    made = use.create_load_balancer(name="one", vip_subnet_id=cloud.subnet_id, tags=["a", "b"])
    assert use.wait_for_load_balancer("one", interval=1, wait=60).id == made.id
    one = cloud.get("loadbalancers", made.id)
    assert (one["name"], sorted(one["tags"]), one["project_id"]) == ("one", ["a", "b"], cloud.project_id)
    use.wait_for_status(made, "OFFLINE", attribute="operating_status", interval=1, wait=60)
    changed = use.update_load_balancer(made, description="d", is_admin_state_up=False)
    assert (changed.name, changed.description, changed.is_admin_state_up) == ("one", "d", False)
    one = cloud.get("loadbalancers", made.id)
    assert (one["name"], one["description"], one["admin_state_up"]) == ("one", "d", False)
    shown = use.get_load_balancer(made.id)
    assert (shown.vip_address, shown.vip_port_id) == (one["vip_address"], one["vip_port_id"])
    assert use.find_load_balancer("one").id == use.find_load_balancer(made.id).id == made.id
    assert use.find_load_balancer("no such name") is None
    assert _gone(lambda: use.find_load_balancer("no such name", ignore_missing=False))
    assert [each.id for each in use.load_balancers(name="one", tags="a,b", is_admin_state_up=False)] == [made.id]
    assert list(use.load_balancers(not_any_tags="b,c")) == []
    assert use.get_load_balancer_statistics(made.id).total_connections == 0
    before = cloud.amphorae(made.id)
    use.failover_load_balancer(made.id)
    use.wait_for_load_balancer(made.id, interval=1, wait=60)
    assert before.isdisjoint(cloud.amphorae(made.id))

    twin = use.create_load_balancer(name="one", vip_subnet_id=cloud.subnet_id)
    with pytest.raises(exceptions.DuplicateResource):
        use.find_load_balancer("one")
    use.delete_load_balancer(twin)
    use.wait_for_delete(twin, interval=1, wait=60)
    cloud.post("pools", loadbalancer_id=made.id, protocol="TCP", lb_algorithm="ROUND_ROBIN")
    with pytest.raises(exceptions.BadRequestException, match="children"):
        use.delete_load_balancer(made)
    use.delete_load_balancer(made, cascade=True)
    use.wait_for_delete(made, interval=1, wait=60)
    assert cloud.list("loadbalancers") == cloud.list("pools") == []
    use.delete_load_balancer(made, ignore_missing=True)
    assert _gone(lambda: use.delete_load_balancer(made, ignore_missing=False))


def test_listener(use: Any, cloud: Cloud, balancer: dict[str, Any]) -> None:
    made = use.create_listener(
        name="l", load_balancer_id=balancer["id"], protocol="HTTP", protocol_port=80, allowed_cidrs=["198.18.0.0/16"],
        insert_headers={"X-Forwarded-For": "true"}, connection_limit=9, timeout_client_data=1000, tags=["t"],
    )  # fmt: skip
    listener = cloud.get("listeners", made.id)
    assert listener["loadbalancers"] == [{"id": balancer["id"]}] == made.load_balancers
    assert (listener["allowed_cidrs"], listener["connection_limit"]) == (["198.18.0.0/16"], 9)
    assert (listener["insert_headers"], listener["timeout_client_data"]) == ({"X-Forwarded-For": "true"}, 1000)
    assert use.find_listener("l").id == use.get_listener(made.id).id == made.id
    use.update_listener(made, name="m", allowed_cidrs=None)
    listener = cloud.get("listeners", made.id)
    assert (listener["name"], listener["allowed_cidrs"], listener["connection_limit"]) == ("m", None, 9)
    assert [each.name for each in use.listeners(protocol="HTTP", protocol_port=80, tags="t")] == ["m"]
    assert [each.name for each in use.listeners(load_balancer_id=balancer["id"])] == ["m"]
    assert list(use.listeners(protocol_port=81)) == []
    assert use.get_listener_statistics(made.id).bytes_in == 0
    use.delete_listener(made)
    assert _gone(lambda: use.get_listener(made.id))
    assert cloud.list("listeners") == []


def test_pool(use: Any, cloud: Cloud, balancer: dict[str, Any]) -> None:
    made = use.create_pool(name="p", loadbalancer_id=balancer["id"], protocol="HTTP", lb_algorithm="ROUND_ROBIN",
                           session_persistence={"type": "APP_COOKIE", "cookie_name": "sid"})  # fmt: skip
    pool = cloud.get("pools", made.id)
    assert (pool["session_persistence"]["cookie_name"], pool["lb_algorithm"]) == ("sid", "ROUND_ROBIN")
    assert use.find_pool("p").id == use.get_pool(made.id).id == made.id
    use.update_pool(made, lb_algorithm="SOURCE_IP", session_persistence=None)
    pool = cloud.get("pools", made.id)
    assert (pool["name"], pool["lb_algorithm"], pool["session_persistence"]) == ("p", "SOURCE_IP", None)
    assert [each.id for each in use.pools(loadbalancer_id=balancer["id"], lb_algorithm="SOURCE_IP")] == [made.id]
    use.delete_pool(made)
    assert cloud.list("pools") == []
    assert use.find_pool("p") is None


def test_member(use: Any, cloud: Cloud, balancer: dict[str, Any]) -> None:
    pool = cloud.post("pools", loadbalancer_id=balancer["id"], protocol="TCP", lb_algorithm="ROUND_ROBIN")
    members = f"pools/{pool['id']}/members"
    made = use.create_member(pool["id"], name="m", address=cloud.address(7), protocol_port=80, weight=3, backup=True)
    member = cloud.get(members, made.id)
    assert (member["address"], member["weight"], member["backup"]) == (cloud.address(7), 3, True)
    assert use.find_member("m", pool["id"]).id == use.get_member(made.id, pool["id"]).id == made.id
    use.update_member(made, pool["id"], weight=0, monitor_port=81)
    member = cloud.get(members, made.id)
    assert (member["weight"], member["monitor_port"], member["backup"]) == (0, 81, True)
    assert [each.id for each in use.members(pool["id"], address=cloud.address(7), weight=0)] == [made.id]
    assert list(use.members(pool["id"], backup=False)) == []
    use.delete_member(made, pool["id"])
    assert cloud.list(members) == []


def test_health_monitor(use: Any, cloud: Cloud, balancer: dict[str, Any]) -> None:
    pool = cloud.post("pools", loadbalancer_id=balancer["id"], protocol="HTTP", lb_algorithm="ROUND_ROBIN")
    made = use.create_health_monitor(name="h", pool_id=pool["id"], type="HTTP", delay=5, timeout=4, max_retries=2,
                                     url_path="/up")  # fmt: skip
    monitor = cloud.get("healthmonitors", made.id)
    assert (monitor["pools"], monitor["url_path"], monitor["delay"]) == ([{"id": pool["id"]}], "/up", 5)
    assert use.get_pool(pool["id"]).health_monitor_id == made.id
    assert use.find_health_monitor("h").id == use.get_health_monitor(made.id).id == made.id
    use.update_health_monitor(made, expected_codes="200-299", max_retries_down=5)
    monitor = cloud.get("healthmonitors", made.id)
    assert (monitor["expected_codes"], monitor["max_retries_down"], monitor["delay"]) == ("200-299", 5, 5)
    assert [each.id for each in use.health_monitors(pool_id=pool["id"], type="HTTP")] == [made.id]
    assert list(use.health_monitors(type="PING")) == []
    use.delete_health_monitor(made)
    assert cloud.list("healthmonitors") == []


def test_l7_policy(use: Any, cloud: Cloud, balancer: dict[str, Any]) -> None:
    listener = cloud.post("listeners", loadbalancer_id=balancer["id"], protocol="HTTP", protocol_port=80)
    made = use.create_l7_policy(name="p", listener_id=listener["id"], action="REDIRECT_TO_URL",
                                redirect_url="http://example.org/")  # fmt: skip
    policy = cloud.get("l7policies", made.id)
    assert (policy["redirect_url"], policy["position"]) == ("http://example.org/", 1)
    assert use.find_l7_policy("p").id == use.get_l7_policy(made.id).id == made.id
    use.update_l7_policy(made, action="REJECT")
    policy = cloud.get("l7policies", made.id)
    assert (policy["action"], policy["redirect_url"]) == ("REJECT", None)
    assert [each.id for each in use.l7_policies(listener_id=listener["id"], action="REJECT")] == [made.id]
    assert list(use.l7_policies(position=2)) == []
    use.delete_l7_policy(made)
    assert cloud.list("l7policies") == []


def test_l7_rule(use: Any, cloud: Cloud, balancer: dict[str, Any]) -> None:
    listener = cloud.post("listeners", loadbalancer_id=balancer["id"], protocol="HTTP", protocol_port=80)
    policy = cloud.post("l7policies", listener_id=listener["id"], action="REJECT")
    rules = f"l7policies/{policy['id']}/rules"
    made = use.create_l7_rule(policy["id"], type="COOKIE", compare_type="EQUAL_TO", key="k", rule_value="v")
    rule = cloud.get(rules, made.id)
    assert (rule["type"], rule["compare_type"], rule["key"], rule["value"]) == ("COOKIE", "EQUAL_TO", "k", "v")
    assert use.find_l7_rule(made.id, policy["id"]).id == use.get_l7_rule(made.id, policy["id"]).id == made.id
    use.update_l7_rule(made, policy["id"], invert=True, rule_value="w")
    rule = cloud.get(rules, made.id)
    assert (rule["invert"], rule["value"], rule["key"]) == (True, "w", "k")
    assert [each.id for each in use.l7_rules(policy["id"], type="COOKIE", key="k")] == [made.id]
    assert list(use.l7_rules(policy["id"], type="PATH")) == []
    use.delete_l7_rule(made, policy["id"])
    assert cloud.list(rules) == []


def test_quota(use: Any, cloud: Cloud) -> None:
    project = cloud.other_project_id
    assert use.get_quota_default().load_balancers == -1
    assert use.get_quota(project).listeners == -1
    use.update_quota(project, load_balancers=1, health_monitors=2, members=3)
    quota = cloud.get("quotas", project)
    assert (quota["loadbalancer"], quota["healthmonitor"], quota["member"], quota["pool"]) == (1, 2, 3, -1)
    assert use.get_quota(project).health_monitors == 2
    assert {each.project_id: each.members for each in use.quotas()}[project] == 3
    use.delete_quota(project)
    assert cloud.get("quotas", project)["loadbalancer"] == -1
    assert project not in {each.project_id for each in use.quotas()}


def test_provider(use: Any, cloud: Cloud) -> None:
    assert [(each.name, each.description) for each in use.providers()] == [
        (each["name"], each["description"]) for each in cloud.list("providers")
    ]
    told = cloud.ask("GET", "providers/octavia/flavor_capabilities")["flavor_capabilities"]
    assert [{"name": each.name, "description": each.description}
            for each in use.provider_flavor_capabilities("octavia")] == told  # fmt: skip
    assert told


def test_flavor_profile(use: Any, cloud: Cloud) -> None:
    data = json.dumps({"loadbalancer_topology": "SINGLE"})
    made = use.create_flavor_profile(name="f", provider_name="octavia", flavor_data=data)
    assert json.loads(cloud.get("flavorprofiles", made.id)["flavor_data"]) == json.loads(data)
    assert use.find_flavor_profile("f").id == use.get_flavor_profile(made.id).id == made.id
    use.update_flavor_profile(made, name="g")
    assert cloud.get("flavorprofiles", made.id)["name"] == "g"
    assert [each.id for each in use.flavor_profiles(provider_name="octavia", name="g")] == [made.id]
    use.delete_flavor_profile(made)
    assert cloud.list("flavorprofiles") == []


def test_flavor(use: Any, cloud: Cloud) -> None:
    profile = cloud.post("flavorprofiles", name="f", provider_name="octavia", flavor_data="{}")
    made = use.create_flavor(name="small", flavor_profile_id=profile["id"], is_enabled=False, description="d")
    flavor = cloud.get("flavors", made.id)
    assert (flavor["name"], flavor["enabled"], flavor["flavor_profile_id"]) == ("small", False, profile["id"])
    assert use.find_flavor("small").id == use.get_flavor(made.id).id == made.id
    use.update_flavor(made, is_enabled=True)
    assert cloud.get("flavors", made.id)["enabled"]
    assert [each.id for each in use.flavors(is_enabled=True, flavor_profile_id=profile["id"])] == [made.id]
    use.delete_flavor(made)
    assert cloud.list("flavors") == []


def test_availability_zone_profile(use: Any, cloud: Cloud) -> None:
    made = use.create_availability_zone_profile(name="z", provider_name="octavia", availability_zone_data="{}")
    assert cloud.get("availabilityzoneprofiles", made.id)["provider_name"] == "octavia"
    assert use.find_availability_zone_profile("z").id == use.get_availability_zone_profile(made.id).id == made.id
    use.update_availability_zone_profile(made, name="y")
    assert cloud.get("availabilityzoneprofiles", made.id)["name"] == "y"
    assert [each.id for each in use.availability_zone_profiles(name="y")] == [made.id]
    use.delete_availability_zone_profile(made)
    assert cloud.list("availabilityzoneprofiles") == []


def test_availability_zone(use: Any, cloud: Cloud) -> None:
    profile = cloud.post("availabilityzoneprofiles", name="z", provider_name="octavia", availability_zone_data="{}")
    use.create_availability_zone(name="north", availability_zone_profile_id=profile["id"], description="d")
    zone = cloud.get("availabilityzones", "north")
    assert (zone["description"], zone["enabled"]) == ("d", True)
    assert use.find_availability_zone("north").name == use.get_availability_zone("north").name == "north"
    use.update_availability_zone("north", is_enabled=False)
    assert not cloud.get("availabilityzones", "north")["enabled"]
    assert [each.name for each in use.availability_zones(is_enabled=False)] == ["north"]
    use.delete_availability_zone("north")
    assert cloud.list("availabilityzones") == []


def test_amphora(use: Any, cloud: Cloud, balancer: dict[str, Any]) -> None:
    (id,) = cloud.amphorae(balancer["id"])
    assert [each.id for each in use.amphorae(loadbalancer_id=balancer["id"])] == [id]
    shown = use.get_amphora(id)
    assert (shown.loadbalancer_id, shown.ha_ip, shown.status) == (balancer["id"], balancer["vip_address"], "ALLOCATED")
    assert use.find_amphora(id).id == id
    use.configure_amphora(id)
    use.failover_amphora(id)
    assert cloud.amphorae(balancer["id"]).isdisjoint({id})
    assert len(cloud.amphorae(balancer["id"])) == 1
