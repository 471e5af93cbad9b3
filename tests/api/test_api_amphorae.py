# SPDX-License-Identifier: Apache-2.0
"""Amphorae, for administrators: seen, filtered, paged, replaced, taken off the books."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from ottava.model.amphora import Amphora
from ottava.store import amphorae, hosts, statistics, work
from ottava.store import engine as database
from ottava.wire.heartbeat import Counters

AMPHORAE = "/v2/octavia/amphorae"
NOTHING = (
    "compute_id", "image_id", "compute_flavor", "cached_zone", "cert_expiration", "vrrp_ip", "vrrp_port_id",
    "vrrp_interface", "vrrp_id", "vrrp_priority", "updated_at",
)  # fmt: skip


def placed(api: Any, lb: str, **values: Any) -> str:
    """The id of an amphora that serves a load balancer, on a host that was heard of."""
    found = Amphora(id=str(uuid.uuid4()), loadbalancer_id=lb, host="north", **values)
    with database.writing(api.engine) as conn:
        hosts.seen(conn, "north", "https://[2001:db8::7]:9443", {})
        amphorae.place(conn, found)
    return found.id


def at_rest(api: Any, **values: object) -> dict[str, Any]:
    """A load balancer on which nothing is due."""
    lb: dict[str, Any] = api.make("loadbalancers", **values)
    api.settle(lb["id"])
    with database.writing(api.engine) as conn:
        conn.execute(work.work.update().where(work.work.c.loadbalancer_id == lb["id"]).values(due_at=None))
    return lb


def due(api: Any, lb: str) -> bool:
    """Whether a worker should look at a load balancer."""
    with database.reading(api.engine) as conn:
        found = work.view(conn, lb)
    assert found is not None
    return found.due_at is not None


def ids(api: Any, query: str = "") -> list[str]:
    answer = api("GET", f"{AMPHORAE}{query}")
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json["amphorae"]]


def test_an_amphora_shows_its_surroundings_and_null_where_there_is_nothing(api: Any) -> None:
    lb = at_rest(api)
    id = placed(api, lb["id"])
    shown = api("GET", f"{AMPHORAE}/{id}").json["amphora"]
    assert {name: shown.pop(name) for name in NOTHING} == dict.fromkeys(NOTHING)
    assert shown.pop("created_at")
    assert shown == {
        "id": id, "loadbalancer_id": lb["id"], "role": "STANDALONE", "status": "ALLOCATED", "cert_busy": False,
        "lb_network_ip": "2001:db8::7", "ha_ip": lb["vip_address"], "ha_port_id": lb["vip_port_id"],
    }  # fmt: skip
    assert api("GET", f"{AMPHORAE}/{id}?fields=role").json["amphora"] == {"role": "STANDALONE"}


def test_lists_are_filtered_by_all_that_is_shown_and_by_the_project(api: Any) -> None:
    mine, other = at_rest(api, project_id="p-mine"), at_rest(api, project_id="p-other")
    one, two = placed(api, mine["id"], status="ERROR"), placed(api, other["id"], role="BACKUP")
    assert ids(api, "?project_id=p-mine") == [one]
    assert ids(api, f"?loadbalancer_id={other['id']}&role=BACKUP") == [two]
    assert ids(api, f"?load_balancer_id={other['id']}&ha_ip={other['vip_address']}") == [two]
    assert ids(api, f"?loadbalancer_id={mine['id']}&status=ERROR&cert_busy=false&lb_network_ip=2001:db8::7") == [one]
    assert ids(api, f"?loadbalancer_id={mine['id']}&compute_id={one}") == []
    assert ids(api, "?vrrp_id=1") == []
    for bad in ("?host=north", "?bogus=1", "?tags=x"):
        assert api("GET", f"{AMPHORAE}{bad}").status_code == 400
    assert api("GET", "amphorae").status_code == 404


@pytest.mark.parametrize("sort", ["", "sort=ha_ip", "sort=ha_ip:desc", "sort=vrrp_id,lb_network_ip:desc,role"])
def test_pages_put_together_are_the_list(api: Any, sort: str) -> None:
    lbs = [at_rest(api, project_id="p-pages") for _ in range(2)]
    for number in range(5):
        placed(api, lbs[number % 2]["id"], role=("MASTER", "BACKUP")[number % 2])
    for _ in range(2):
        placed(api, str(uuid.uuid4()))  # its load balancer is gone: it has no address to show
    whole, found, marker = ids(api, f"?{sort}"), [], ""
    while page := ids(api, f"?limit=2&{sort}{marker}"):
        found += page
        marker = f"&marker={page[-1]}"
    assert found == whole
    assert len(set(found)) == len(found) >= 7
    before = ids(api, f"?limit=2&page_reverse=True&marker={whole[4]}&{sort}")
    assert before == whole[2:4]


def test_failover_replaces_one_amphora(api: Any) -> None:
    lb = at_rest(api)["id"]
    one, two = placed(api, lb), placed(api, lb)
    sent = api.wakeup.sent
    answer = api("PUT", f"{AMPHORAE}/{one}/failover")
    assert (answer.status_code, answer.content) == (202, b"")
    graph = api.graph(lb)
    assert (graph.amphorae[one].status, graph.amphorae[two].status) == ("PENDING_DELETE", "ALLOCATED")
    assert graph.load_balancer.provisioning_status == "PENDING_UPDATE"
    assert due(api, lb)
    assert api.wakeup.sent == sent + 1


def test_failover_of_what_is_going_is_refused(api: Any, fresh: Any) -> None:
    lb = at_rest(api)["id"]
    id = placed(api, lb)
    api("DELETE", f"loadbalancers/{lb}")
    answer = api("PUT", f"{AMPHORAE}/{id}/failover")
    words = f"Load Balancer {lb} is immutable and cannot be updated."
    assert (answer.status_code, answer.json["faultstring"]) == (409, words)
    strict = fresh(immutable_while_pending=True)
    pending = strict.make("loadbalancers")["id"]
    assert strict("PUT", f"{AMPHORAE}/{placed(strict, pending)}/failover").status_code == 409


def test_only_what_is_lost_can_be_deleted(api: Any) -> None:
    lb = at_rest(api)["id"]
    good, lost = placed(api, lb), placed(api, lb, status="ERROR")
    answer = api("DELETE", f"{AMPHORAE}/{good}")
    words = f"amphora {good} is immutable and cannot be updated."
    assert (answer.status_code, answer.json["faultstring"]) == (409, words)
    assert not due(api, lb)
    assert api("DELETE", f"{AMPHORAE}/{lost}").status_code == 204
    assert api.graph(lb).amphorae[lost].status == "PENDING_DELETE"
    assert due(api, lb)
    assert api("GET", f"loadbalancers/{lb}").json["loadbalancer"]["provisioning_status"] == "ACTIVE"


def test_configure_makes_its_load_balancer_due(api: Any) -> None:
    lb = at_rest(api)["id"]
    id = placed(api, lb)
    answer = api("PUT", f"{AMPHORAE}/{id}/config")
    assert (answer.status_code, answer.content) == (202, b"")
    assert due(api, lb)


def test_statistics_are_told_by_listener(api: Any) -> None:
    lb = at_rest(api)["id"]
    id, silent = placed(api, lb), placed(api, lb)
    listeners = sorted(str(uuid.uuid4()) for _ in range(2))
    with database.writing(api.engine) as conn:
        statistics.record(conn, [(each, id, lb, Counters(1, 2, 3, 4, 5)) for each in listeners])
    found = api("GET", f"{AMPHORAE}/{id}/stats").json["amphora_stats"]
    assert found == [
        {"id": id, "listener_id": each, "loadbalancer_id": lb, "active_connections": 1, "bytes_in": 2, "bytes_out": 3,
         "request_errors": 4, "total_connections": 5} for each in listeners
    ]  # fmt: skip
    answer = api("GET", f"{AMPHORAE}/{silent}/stats")
    assert (answer.status_code, answer.json["faultstring"]) == (404, f"Amphora stats for {silent} not found.")


def test_what_is_not_there(api: Any) -> None:
    missing = str(uuid.uuid4())
    for verb, path in (("GET", ""), ("DELETE", ""), ("PUT", "/failover"), ("PUT", "/config")):
        answer = api(verb, f"{AMPHORAE}/{missing}{path}")
        assert (answer.status_code, answer.json["faultstring"]) == (404, f"Amphora {missing} not found.")


def test_tenants_see_none(secure: Any) -> None:
    lb = secure.make("loadbalancers", "alice")["id"]
    id = placed(secure, lb)
    for verb, path in (("GET", ""), ("GET", f"/{id}"), ("GET", f"/{id}/stats"), ("PUT", f"/{id}/failover"),
                       ("PUT", f"/{id}/config"), ("DELETE", f"/{id}")):  # fmt: skip
        assert secure(verb, f"{AMPHORAE}{path}", user="alice").status_code == 403
    assert secure.graph(lb).amphorae[id].status == "ALLOCATED"
    assert secure("GET", AMPHORAE, user="root").status_code == 200


def test_an_operator_may_let_owners_replace_theirs(fresh: Any, tmp_path: Path, user_file: Path) -> None:
    rule = "os_load-balancer_api:amphora:put_failover"
    (tmp_path / "policy.yaml").write_text(f'"{rule}": "rule:load-balancer:write"\n')
    config = f"[oslo_policy]\npolicy_file = {tmp_path}/policy.yaml\n"
    api = fresh(config=config, auth_strategy="http_basic", http_basic_auth_user_file=str(user_file))
    id = placed(api, api.make("loadbalancers", "alice")["id"])
    assert api("PUT", f"{AMPHORAE}/{id}/failover", user="bob").status_code == 403
    assert api("PUT", f"{AMPHORAE}/{id}/failover", user="alice").status_code == 202
