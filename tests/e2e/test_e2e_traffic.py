# SPDX-License-Identifier: Apache-2.0
"""From a request to the API to what clients of the load balancer see."""

import http.client
import socket
from typing import Any

import pytest
from support.load import Load, who
from support.machine import Machine, eventually
from support.members import Member, Members


def member(server: Member, **more: object) -> dict[str, object]:
    return {"name": server.name, "address": server.address, "protocol_port": server.port, **more}


def pool(*servers: dict[str, object], **more: object) -> dict[str, object]:
    return {"name": "pool", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": list(servers), **more}


def balancer(ottava: Machine, *servers: dict[str, object], **more: object) -> dict[str, Any]:
    """A load balancer with one HTTP listener at port 80."""
    listener = {"name": "http", "protocol": "HTTP", "protocol_port": 80, "default_pool": pool(*servers), **more}
    return ottava.create({"name": "balancer", "listeners": [listener]})


def child(ottava: Machine, made: dict[str, Any], kind: str) -> str:
    """The id of the only child of a kind."""
    found = ottava.ask("GET", f"{kind}?loadbalancer_id={made['id']}")[kind]
    assert len(found) == 1
    return str(found[0]["id"])


def remove(ottava: Machine, made: dict[str, Any]) -> None:
    ottava.ask("DELETE", f"loadbalancers/{made['id']}?cascade=true")
    ottava.gone(made["id"])


@pytest.mark.parametrize("family", [4, 6])
def test_http_is_shared_between_members(ottava: Machine, members: Members, family: int) -> None:
    a, b = members("a"), members("b")
    servers = [
        {"name": each.name, "address": each.address6 if family == 6 else each.address, "protocol_port": each.port}
        for each in (a, b)
    ]
    listener = {"protocol": "HTTP", "protocol_port": 80, "default_pool": pool(*servers)}
    made = ottava.create({"vip_subnet_id": ottava.subnet(family), "listeners": [listener]})
    assert (":" in made["vip_address"]) == (family == 6)
    assert who(made["vip_address"], number=10) == {"a": 5, "b": 5}
    remove(ottava, made)


@pytest.mark.parametrize("family", [4, 6])
def test_tcp_carries_bytes_both_ways(ottava: Machine, members: Members, family: int) -> None:
    a = members("a")
    address = a.address6 if family == 6 else a.address
    wish = {
        "protocol": "TCP",
        "protocol_port": 5000,
        "default_pool": pool({"address": address, "protocol_port": a.tcp_port}, protocol="TCP"),
    }
    made = ottava.create({"vip_subnet_id": ottava.subnet(family), "listeners": [wish]})
    with socket.create_connection((made["vip_address"], 5000), timeout=10) as connection:
        stream = connection.makefile("rwb")
        assert stream.readline() == b"a\n"
        stream.write(b"\x00\xff bytes\n")
        stream.flush()
        assert stream.readline() == b"\x00\xff bytes\n"
    remove(ottava, made)


def _location(address: str, path: str) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    connection.close()
    return answer.status, answer.getheader("Location")


def test_l7_policies_redirect_reject_and_choose_a_pool(ottava: Machine, members: Members) -> None:
    a, b = members("a"), members("b")

    def starts_with(path: str) -> list[dict[str, object]]:
        return [{"type": "PATH", "compare_type": "STARTS_WITH", "value": path}]

    made = balancer(
        ottava,
        member(a),
        l7policies=[
            {"action": "REJECT", "rules": starts_with("/no")},
            {"action": "REDIRECT_TO_URL", "redirect_url": "http://example.org/%25#x", "rules": starts_with("/away")},
            {
                "action": "REDIRECT_TO_POOL",
                "redirect_pool": pool(member(b), name="other"),
                "rules": [{"type": "HEADER", "key": "X-Which", "compare_type": "EQUAL_TO", "value": "b"}],
            },
        ],
    )
    vip = made["vip_address"]
    assert who(vip, path="/no/way") == {"status 403": 1}
    assert _location(vip, "/away") == (302, "http://example.org/%25#x")
    assert who(vip, X_Which="b") == {"b": 1}
    assert who(vip, X_Which="c") == {"a": 1}
    remove(ottava, made)


def test_members_change_under_load_and_no_request_is_lost(ottava: Machine, members: Members) -> None:
    a, b, c = members("a"), members("b"), members("c")
    made = balancer(ottava, member(a), member(b))
    path = f"pools/{child(ottava, made, 'pools')}/members"
    with Load(made["vip_address"]) as load:
        assert set(load.more()) == {"a", "b"}

        added = ottava.ask("POST", path, {"member": member(c)})["member"]
        ottava.active(made["id"])
        assert set(load.more()) == {"a", "b", "c"}

        ottava.ask("PUT", f"{path}/{added['id']}", {"member": {"weight": 4}})
        ottava.active(made["id"])
        shares = load.more(600)
        assert shares["c"] > shares["a"] + shares["b"]

        ottava.ask("PUT", f"{path}/{added['id']}", {"member": {"weight": 0}})
        ottava.active(made["id"])
        eventually(lambda: set(load.more()) == {"a", "b"})

        ottava.ask("DELETE", f"{path}/{added['id']}")
        ottava.active(made["id"])
        first = next(each for each in ottava.ask("GET", path)["members"] if each["name"] == "a")
        ottava.ask("PUT", f"{path}/{first['id']}", {"member": {"admin_state_up": False}})
        ottava.active(made["id"])
        eventually(lambda: set(load.more()) == {"b"})
    assert load.failures == []
    remove(ottava, made)


def test_a_failed_member_is_left_out_and_comes_back(ottava: Machine, members: Members) -> None:
    a, b = members("a"), members("failing")
    monitor = {"type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1, "max_retries_down": 1}
    listener = {
        "protocol": "HTTP",
        "protocol_port": 80,
        "default_pool": pool(member(a), member(b), healthmonitor=monitor),
    }
    made = ottava.create({"listeners": [listener]})
    path = f"pools/{child(ottava, made, 'pools')}/members"

    def status() -> dict[str, str]:
        return {each["name"]: each["operating_status"] for each in ottava.ask("GET", path)["members"]}

    eventually(lambda: status() == {"a": "ONLINE", "failing": "ONLINE"})
    b.stop()
    eventually(lambda: status() == {"a": "ONLINE", "failing": "ERROR"})
    assert who(made["vip_address"], number=10) == {"a": 10}
    assert ottava.ask("GET", f"loadbalancers/{made['id']}")["loadbalancer"]["operating_status"] == "DEGRADED"
    assert "failing" in ottava.ottava("why", made["id"])
    b.start()
    eventually(lambda: status() == {"a": "ONLINE", "failing": "ONLINE"})
    eventually(lambda: who(made["vip_address"], number=4) == {"a": 2, "failing": 2})
    remove(ottava, made)


def test_statistics_count_what_was_served(ottava: Machine, members: Members) -> None:
    made = balancer(ottava, member(members("a")))
    assert who(made["vip_address"], number=7) == {"a": 7}

    def counted() -> bool:
        found = ottava.ask("GET", f"loadbalancers/{made['id']}/stats")["stats"]
        return bool(found["total_connections"] >= 7 and found["bytes_out"] > 0)

    eventually(counted)
    remove(ottava, made)


def test_a_deleted_load_balancer_leaves_nothing(ottava: Machine, members: Members) -> None:
    server = members("a")
    before = set(ottava.left())
    made = balancer(ottava, member(server))
    again = balancer(ottava, member(server))
    assert made["vip_address"] != again["vip_address"]
    assert set(ottava.left()) > before
    for each in (made, again):
        remove(ottava, each)
    eventually(lambda: set(ottava.left()) == before, f"left behind: {set(ottava.left()) - before}")
    assert list((ottava.state / "amphorae").iterdir()) == []
    renewed = balancer(ottava, member(server))
    assert renewed["vip_address"] == made["vip_address"]
    remove(ottava, renewed)
