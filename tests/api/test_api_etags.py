# SPDX-License-Identifier: Apache-2.0
"""ETags and If-Match: a writer who has not seen the newest wish undoes nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ottava.store import engine as database


def tree(api: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """A load balancer with one of each; and the path of each, by kind."""
    made = api.make(
        "loadbalancers", tags=["b", "a"],
        listeners=[
            {"name": "one", "protocol": "HTTP", "protocol_port": 80,
             "default_pool": {"name": "pool", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN",
                              "members": [{"address": "198.18.0.1", "protocol_port": 80}],
                              "healthmonitor": {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}},
             "l7policies": [{"action": "REJECT", "rules": [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}]}]},
            {"name": "two", "protocol": "TCP", "protocol_port": 81},
        ],
    )  # fmt: skip
    listener, pool = made["listeners"][0], made["pools"][0]
    policy = listener["l7policies"][0]
    return made, {
        "loadbalancer": f"loadbalancers/{made['id']}",
        "listener": f"listeners/{listener['id']}",
        "pool": f"pools/{pool['id']}",
        "member": f"pools/{pool['id']}/members/{pool['members'][0]['id']}",
        "healthmonitor": f"healthmonitors/{pool['healthmonitor']['id']}",
        "l7policy": f"l7policies/{policy['id']}",
        "rule": f"l7policies/{policy['id']}/rules/{policy['rules'][0]['id']}",
    }


def etag(api: Any, path: str) -> str:
    """The ETag that GET answers, with its quotation marks."""
    found = api("GET", path).headers["ETag"]
    assert (found[0], found[-1]) == ('"', '"')
    return str(found)


def test_each_kind_has_one_that_follows_its_wish_and_no_status(api: Any) -> None:
    made, paths = tree(api)
    before = {kind: etag(api, path) for kind, path in paths.items()}
    assert len(set(before.values())) == len(before)
    api.settle(made["id"])
    with database.writing(api.engine) as conn:
        for kind in before:
            conn.exec_driver_sql(f"UPDATE {kind} SET operating_status = 'ERROR', fault = 'it broke'")
    for kind, path in paths.items():
        assert api("GET", f"{path}?fields=id").headers["ETag"] == etag(api, path) == before[kind]
    for kind, path in reversed(paths.items()):
        others = {other: etag(api, paths[other]) for other in paths if other != kind}
        answer = api("PUT", path, {kind: {"admin_state_up": False}})
        assert answer.headers["ETag"] == etag(api, path) != before[kind]
        assert api("PUT", path, {kind: {"admin_state_up": True}}).headers["ETag"] == before[kind]
        assert {other: etag(api, paths[other]) for other in others} == others


def test_what_creation_answers_is_what_is_shown(api: Any) -> None:
    def created(collection: str, key: str, **values: object) -> str:
        answer = api("POST", collection, {key: values})
        assert answer.status_code == 201, answer.text
        id = answer.json[key]["id"]
        assert answer.headers["ETag"] == etag(api, f"{collection}/{id}")
        return str(id)

    listeners = [{"protocol": "TCP", "protocol_port": port, "name": str(port)} for port in (9, 3, 7, 5)]
    lb = created(
        "loadbalancers", "loadbalancer", vip_subnet_id=api.subnet_id, tags=["b", "a", "c"], listeners=listeners
    )
    listener = created("listeners", "listener", loadbalancer_id=lb, protocol="HTTP", protocol_port=80, tags=["y", "x"])
    pool = created("pools", "pool", listener_id=listener, protocol="HTTP", lb_algorithm="ROUND_ROBIN")
    created(f"pools/{pool}/members", "member", address="198.18.0.1", protocol_port=80)
    created("healthmonitors", "healthmonitor", pool_id=pool, type="TCP", delay=1, timeout=1, max_retries=1)
    policy = created("l7policies", "l7policy", listener_id=listener, action="REJECT")
    created(f"l7policies/{policy}/rules", "rule", type="PATH", compare_type="EQUAL_TO", value="/")


def test_a_writer_who_has_not_seen_the_newest_wish_is_refused(api: Any) -> None:
    made, paths = tree(api)
    for kind, path in reversed(paths.items()):
        old = etag(api, path)
        api("PUT", path, {kind: {"admin_state_up": False}})
        new = etag(api, path)
        before = api.everything()
        for stale in (old, f"W/{new}", '"nonsense"', "nonsense", f"{old}, W/{new}"):
            for method, body in (("PUT", {kind: {"admin_state_up": True}}), ("DELETE", None)):
                answer = api(method, path, body, headers={"If-Match": stale})
                assert (answer.status_code, answer.json["faultcode"]) == (412, "Client"), (kind, stale)
                assert new.strip('"') in answer.json["faultstring"]
        assert api.everything() == before
        for fresh in ("*", new, f"{old}, {new}", ""):
            answer = api("PUT", path, {kind: {"admin_state_up": False}}, headers={"If-Match": fresh})
            assert answer.status_code == 200, (kind, fresh, answer.text)
        query = "?cascade=true" if kind == "loadbalancer" else ""
        assert api("DELETE", path + query, headers={"If-Match": new}).status_code == 204
        api.settle(made["id"]) if kind != "loadbalancer" else None
    assert api("PUT", f"pools/{made['id']}", {"pool": {}}, headers={"If-Match": "*"}).status_code == 404


def test_a_pool_is_not_deleted_with_a_member_that_nobody_has_seen(api: Any) -> None:
    _, paths = tree(api)
    old = etag(api, paths["pool"])
    api.make(f"{paths['pool']}/members", address="198.18.0.9", protocol_port=80)
    assert api("DELETE", paths["pool"], headers={"If-Match": old}).status_code == 412


def test_a_change_to_a_member_is_not_undone_unseen_by_replacing_all(api: Any) -> None:
    _, paths = tree(api)
    members = f"{paths['pool']}/members"
    old = etag(api, members)
    for change in (
        lambda: api.make(members, address="198.18.0.9", protocol_port=80),
        lambda: api("PUT", paths["member"], {"member": {"weight": 7}}),
        lambda: api("DELETE", paths["member"]),
    ):
        change()
        assert api("PUT", members, {"members": []}, headers={"If-Match": old}).status_code == 412
        assert old != (old := etag(api, members))
    api.settle(api("GET", paths["pool"]).json["pool"]["loadbalancers"][0]["id"])
    assert etag(api, members) == old
    assert "ETag" not in api("GET", f"{members}?limit=1").headers
    assert api("PUT", members, {"members": []}, headers={"If-Match": old}).status_code == 202
    assert etag(api, members) != old


def test_quotas_have_one_too(api: Any) -> None:
    old = etag(api, "quotas/somebody")
    answer = api("PUT", "quotas/somebody", {"quota": {"pool": 7}}, headers={"If-Match": old})
    assert answer.headers["ETag"] == etag(api, "quotas/somebody") != old
    assert api("PUT", "quotas/somebody", {"quota": {"pool": 8}}, headers={"If-Match": old}).status_code == 412
    assert api("DELETE", "quotas/somebody", headers={"If-Match": old}).status_code == 412
    assert api("GET", "quotas/somebody").json["quota"]["pool"] == 7
    assert api("DELETE", "quotas/somebody", headers={"If-Match": answer.headers["ETag"]}).status_code == 202
    assert etag(api, "quotas/somebody") == old


def test_what_is_on_offer_has_one_too(api: Any) -> None:
    body = {"flavorprofile": {"name": "a", "provider_name": "ottava", "flavor_data": "{}"}}
    made = api("POST", "flavorprofiles", body)
    path = f"flavorprofiles/{made.json['flavorprofile']['id']}"
    old = etag(api, path)
    assert made.headers["ETag"] == old
    assert api("PUT", path, {"flavorprofile": {"name": "b"}}, headers={"If-Match": old}).headers["ETag"] != old
    assert api("PUT", path, {"flavorprofile": {"name": "c"}}, headers={"If-Match": old}).status_code == 412
    assert api("DELETE", path, headers={"If-Match": old}).status_code == 412
    assert api("DELETE", path, headers={"If-Match": etag(api, path)}).status_code == 204


def wishes(collection: str) -> Callable[[int], dict[str, object]]:
    """The body that writer number N sends."""
    if collection == "quotas":
        return lambda number: {"quota": {"listener": number}}
    return lambda number: {"loadbalancer": {"name": f"writer {number}"}}


@pytest.mark.parametrize("collection", ["loadbalancers", "quotas"])
def test_of_writers_with_one_etag_exactly_one_wins(api: Any, collection: str) -> None:
    path = f"quotas/{'r' * 32}" if collection == "quotas" else f"loadbalancers/{api.make('loadbalancers')['id']}"
    body = wishes(collection)
    for turn in range(5):
        seen = etag(api, path)

        def write(number: int, seen: str = seen) -> int:
            return int(api("PUT", path, body(number), headers={"If-Match": seen}).status_code)

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(write, range(turn * 4 + 1, turn * 4 + 5)))
        assert sorted(found)[1:] == [412] * 3, found
        assert sorted(found)[0] in (200, 202), found
        winner = turn * 4 + 1 + found.index(min(found))
        shown = api("GET", path).json
        assert str(winner) in str(
            shown["quota"]["listener"] if collection == "quotas" else shown["loadbalancer"]["name"]
        )
