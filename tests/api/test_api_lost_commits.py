# SPDX-License-Identifier: Apache-2.0
"""A connection that is lost when the commit was carried out, before that is heard: each write is done once, and said so.

Where what is lost is not the write itself, a 503 that changed nothing is right too.
"""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from support import databases, servers
from support.cutting import Cutting

from .conftest import Api


@pytest.fixture(scope="module", params=servers.SERVERS)
def wire(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cutting]:
    folder = tmp_path_factory.mktemp("w")
    with databases.upgraded(request.param, folder) as url:
        wire = Cutting(url, folder)
        yield wire
        wire.close()


@pytest.fixture(scope="module", params=[False, True], ids=["open", "strict"])
def api(request: pytest.FixtureRequest, wire: Cutting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Over the wire; once as it is by default, and once so that a second write of anything is refused."""
    api = Api(tmp_path_factory.mktemp("api"), url=wire.url, immutable_while_pending=request.param)
    yield api
    api.engine.dispose()


def settled(api: Api, **wish: object) -> dict[str, Any]:
    made = api.make("loadbalancers", **wish)
    api.settle(made["id"])
    return made


def create(api: Api) -> tuple[str, str, object, int]:
    return "POST", "loadbalancers", {"loadbalancer": {"vip_subnet_id": api.subnet_id}}, 201


def create_tree(api: Api) -> tuple[str, str, object, int]:
    listeners = [{"protocol": "TCP", "protocol_port": 80}]
    return "POST", "loadbalancers", {"loadbalancer": {"vip_subnet_id": api.subnet_id, "listeners": listeners}}, 201


def create_child(api: Api) -> tuple[str, str, object, int]:
    body = {"loadbalancer_id": settled(api)["id"], "protocol": "TCP", "protocol_port": 80}
    return "POST", "listeners", {"listener": body}, 201


def update(api: Api) -> tuple[str, str, object, int]:
    lb = settled(api, listeners=[{"protocol": "TCP", "protocol_port": 80}])
    return "PUT", f"listeners/{lb['listeners'][0]['id']}", {"listener": {"name": "new", "tags": ["a"]}}, 200


def delete_child(api: Api) -> tuple[str, str, object, int]:
    lb = settled(api, listeners=[{"protocol": "TCP", "protocol_port": 80}])
    return "DELETE", f"listeners/{lb['listeners'][0]['id']}", None, 204


def delete(api: Api) -> tuple[str, str, object, int]:
    return "DELETE", f"loadbalancers/{settled(api)['id']}?cascade=true", None, 204


def fail_over(api: Api) -> tuple[str, str, object, int]:
    return "PUT", f"loadbalancers/{settled(api)['id']}/failover", None, 202


def batch(api: Api) -> tuple[str, str, object, int]:
    old = [{"address": "198.18.0.1", "protocol_port": number} for number in (80, 81)]
    new = [{"address": "198.18.0.1", "protocol_port": number} for number in (81, 82)]
    pool = settled(api, pools=[{"protocol": "TCP", "lb_algorithm": "SOURCE_IP", "members": old}])["pools"][0]
    return "PUT", f"pools/{pool['id']}/members", {"members": new}, 202


def set_quota(api: Api) -> tuple[str, str, object, int]:
    return "PUT", f"quotas/{uuid.uuid4()}", {"quota": {"pool": 3}}, 202


def reset_quota(api: Api) -> tuple[str, str, object, int]:
    project = str(uuid.uuid4())
    assert api("PUT", f"quotas/{project}", {"quota": {"pool": 3}}).status_code == 202
    return "DELETE", f"quotas/{project}", None, 202


WRITES = (create, create_tree, create_child, update, delete_child, delete, fail_over, batch, set_quota, reset_quota)


@pytest.mark.parametrize("write", WRITES, ids=[write.__name__ for write in WRITES])
def test_every_write_is_carried_out_once(api: Api, wire: Cutting, write: Any) -> None:
    method, path, body, good = write(api)
    before = api.everything()
    assert api(method, path, body).status_code == good
    once = counted(before, api.everything())
    answers = []
    for commit in range(1, 100):
        method, path, body, good = write(api)
        before = api.everything()
        wire.cut_at(commit)
        result = api(method, path, body)
        if not wire.was_cut:
            break
        answers.append(result.status_code)
        after = counted(before, api.everything())
        assert (result.status_code, after) in ((good, once), (503, {})), (answers, result.text)
    wire.cut_at(0)
    assert good in answers


def counted(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> dict[str, Any]:
    """How many rows of each table are other ones; of the work also by how much the generations have grown."""
    changes: dict[str, Any] = {
        name: (len(set(after[name]) - set(before[name])), len(set(before[name]) - set(after[name])))
        for name in before
        if set(after[name]) != set(before[name])
    }
    grown = sum(row[1] for row in after["work"]) - sum(row[1] for row in before["work"])
    return changes | ({"generations": grown} if grown else {})
