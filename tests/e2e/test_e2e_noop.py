# SPDX-License-Identifier: Apache-2.0
"""`ottava up --noop`, as the tests of other projects use it: unprivileged, over HTTP, by an unmodified client."""

import os
import uuid
from pathlib import Path

import httpx
import pytest
from openstack import exceptions
from support.noop import NOBODY, noop

CAP_DAC_READ_SEARCH = 1 << 2


def unknown() -> str:
    """The id of something that exists nowhere."""
    return str(uuid.uuid4())


def test_a_whole_tree_lives_and_ends_by_the_sdk_and_survives_a_restart() -> None:
    with noop() as ottava:
        assert ottava.process
        status = Path(f"/proc/{ottava.process.pid}/status").read_text()
        assert f"\nUid:\t{NOBODY if os.geteuid() == 0 else os.geteuid()}\t" in status
        assert int(status.partition("CapEff:")[2].split()[0], 16) & ~CAP_DAC_READ_SEARCH == 0
        cloud = ottava.sdk().load_balancer
        subnet = unknown()
        balancer = cloud.create_load_balancer(name="shop", vip_subnet_id=subnet)
        listener = cloud.create_listener(name="http", protocol="HTTP", protocol_port=80, load_balancer_id=balancer.id)
        pool = cloud.create_pool(name="web", protocol="HTTP", lb_algorithm="ROUND_ROBIN", listener_id=listener.id)
        member = cloud.create_member(pool, address="192.0.2.1", protocol_port=80, subnet_id=unknown())
        monitor = cloud.create_health_monitor(pool_id=pool.id, type="HTTP", delay=5, timeout=3, max_retries=2)
        policy = cloud.create_l7_policy(listener_id=listener.id, action="REJECT")
        rule = cloud.create_l7_rule(policy, type="PATH", compare_type="EQUAL_TO", value="/")
        found = [
            cloud.get_load_balancer(balancer.id), cloud.get_listener(listener.id), cloud.get_pool(pool.id),
            cloud.get_member(member, pool), cloud.get_health_monitor(monitor.id), cloud.get_l7_policy(policy.id),
            cloud.get_l7_rule(rule, policy),
        ]  # fmt: skip
        made = (balancer, listener, pool, member, monitor, policy, rule)
        assert {each.provisioning_status for each in (*made, *found)} == {"ACTIVE"}
        assert {each.operating_status for each in found if each.id != member.id} == {"OFFLINE"}
        assert cloud.get_member(member, pool).operating_status == "NO_MONITOR"
        assert (found[0].vip_subnet_id, found[0].operating_status) == (subnet, "OFFLINE")
        cloud.update_load_balancer(balancer, description="changed")
        cloud.update_member(member, pool, weight=7)
        cloud.failover_load_balancer(balancer.id)
        assert cloud.wait_for_load_balancer(balancer.id, interval=0.1, wait=5).description == "changed"

        ottava.stop()
        ottava.up()
        cloud = ottava.sdk().load_balancer
        assert cloud.get_load_balancer(balancer.id).vip_address == balancer.vip_address
        assert cloud.get_member(member, pool).weight == 7
        cloud.delete_l7_rule(rule, policy)
        with pytest.raises(exceptions.NotFoundException):
            cloud.get_l7_rule(rule, policy)
        cloud.delete_load_balancer(balancer, cascade=True)
        for listed in (cloud.load_balancers, cloud.listeners, cloud.pools, cloud.health_monitors, cloud.l7_policies):
            assert list(listed()) == []
        with pytest.raises(exceptions.NotFoundException):
            cloud.get_load_balancer(balancer.id)


def test_what_it_does_not_know_is_taken() -> None:
    with noop() as ottava, httpx.Client(base_url=f"{ottava.url}/v2/lbaas/", trust_env=False) as api:
        for wish in ({"vip_port_id": unknown()}, {"vip_network_id": unknown(), "vip_address": "2001:DB8::0:5"}):
            answer = api.post("loadbalancers", json={"loadbalancer": wish})
            assert answer.status_code == 201, answer.text
            made = answer.json()["loadbalancer"]
            assert {key: made[key] for key in wish} == wish | (
                {"vip_address": "2001:db8::5"} if "vip_address" in wish else {}
            )
        for provider in ("octavia", "amphora", "ottava"):
            wish = {"vip_subnet_id": unknown(), "provider": provider}
            made = api.post("loadbalancers", json={"loadbalancer": wish}).json()["loadbalancer"]
            assert (made["provider"], made["provisioning_status"]) == (provider, "ACTIVE")
        assert api.post("loadbalancers", json={"loadbalancer": {"name": "nowhere"}}).status_code == 400
