# SPDX-License-Identifier: Apache-2.0
"""What stands between the server and the routes, by the options that operators know."""

import ast
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from falcon.testing import create_environ

from ottava import logs, options
from ottava.api import stack
from ottava.api.context import Unusable

from .conftest import Api, authorization

ROOT = Path(__file__).parent.parent.parent
GLOBAL = "req-12345678-1234-4234-8234-123456789abc"


@pytest.fixture(scope="module")
def database_kind() -> str:
    """None of this is about databases."""
    return "sqlite"


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What is logged, as it is written down."""
    lines: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name.startswith(("ottava.api", "keystonemiddleware")):
                lines.append(f"[{logs.request.get()}] {record.getMessage()}")

    handler = Listening()
    before = logging.getLogger().level
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    yield lines
    logging.getLogger().setLevel(before)
    logging.getLogger().removeHandler(handler)


def test_each_answer_has_an_id_of_its_own(api: Api) -> None:
    ids = [api("GET", path).headers["x-openstack-request-id"] for path in ("/", "loadbalancers", "/nothing", "/")]
    assert len(set(ids)) == 4
    assert all(len(each) == len(GLOBAL) and each.startswith("req-") for each in ids)


@pytest.mark.parametrize(
    ("given", "kept"), [(GLOBAL, True), ("req-1", False), ("x" + GLOBAL, False), ("x" * 999, False)]
)
def test_the_id_of_other_services_is_kept(fresh: Any, said: list[str], given: str, kept: bool) -> None:
    api = fresh(access_log=True)
    own = api("GET", "loadbalancers", headers={"X-OpenStack-Request-ID": given}).headers["x-openstack-request-id"]
    assert own != given
    assert f"[{given} {own}] " in said[-1] if kept else f"[{own}] " in said[-1]


def test_a_line_of_the_log_has_the_ids(said: list[str]) -> None:
    record = logging.LogRecord("ottava", logging.INFO, "", 0, "hello", None, None)
    before = logs.request.set("req-1")
    logs._Program("api").filter(record)
    logs.request.reset(before)
    assert "INFO api: [req-1] hello" in logging.Formatter(logs.FORMAT).format(record)
    logs._Program("api").filter(record)
    assert "INFO api: hello" in logging.Formatter(logs.FORMAT).format(record)


def test_the_log_has_a_line_for_each_request(fresh: Any, said: list[str]) -> None:
    api = fresh(access_log=True)
    size = len(api("GET", "/v2.0/lbaas/pools?limit=3", headers={"X-Project-Id": "p"}).content)
    api("GET", "/v2/x\n[req-0] forged")
    lines = [line.partition("] ")[2] for line in said]
    assert lines[0].startswith(f'- noauth p "GET /v2.0/lbaas/pools?limit=3" 200 {size} bytes ')
    assert '"GET /v2/x%0A%5Breq-0%5D%20forged" 404 ' in lines[1]


def test_and_none_where_nobody_asked_for_it(api: Api, said: list[str]) -> None:
    api("GET", "loadbalancers")
    assert said == []


FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "lb.example.org", "X-Forwarded-Prefix": "/load-balancer",
             "X-Forwarded-For": "203.0.113.9"}  # fmt: skip


@pytest.mark.parametrize("believed", [True, False])
def test_a_proxy_is_believed_where_the_operator_says_so(fresh: Any, said: list[str], believed: bool) -> None:
    config = f"[oslo_middleware]\nenable_proxy_headers_parsing = {believed}\n"
    api = fresh(config=config, access_log=True)
    link = api("GET", "/", headers=FORWARDED).json["versions"][0]["links"][0]["href"]
    assert (link == "https://lb.example.org/load-balancer/v2") is believed
    assert ("] 203.0.113.9 " in said[-1]) is believed


def preflight(api: Api, origin: dict[str, str]) -> dict[str, str]:
    """What a browser is told before it lets a page change something."""
    wish = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-auth-token,content-type"}
    environ = create_environ(path="/v2/lbaas/loadbalancers", method="OPTIONS", headers={**origin, **wish})
    said: list[Any] = []
    api.app(environ, lambda *words: said.extend(words))
    assert said[0].startswith("200")
    return {name.lower(): value for name, value in said[1]}


def test_pages_of_allowed_origins_may_ask(fresh: Any, user_file: Path) -> None:
    config = "[cors]\nallowed_origin = https://portal.example.org\n"
    api = fresh(config=config, auth_strategy="http_basic", http_basic_auth_user_file=str(user_file))
    good, bad = {"Origin": "https://portal.example.org"}, {"Origin": "https://evil.example.org"}
    asked = preflight(api, good)
    assert asked["access-control-allow-origin"] == good["Origin"]
    assert asked["access-control-allow-methods"] == "PUT"
    got = api("GET", "loadbalancers", user="alice", headers=good)
    assert got.status_code == 200
    assert got.headers["access-control-allow-origin"] == good["Origin"]
    assert "X-OpenStack-Request-ID" in got.headers["access-control-expose-headers"]
    assert api("GET", "loadbalancers", headers=good).headers["access-control-allow-origin"] == good["Origin"]
    assert "access-control-allow-origin" not in preflight(api, bad)
    for headers in ({}, bad):
        answer = api("GET", "loadbalancers", user="alice", headers=headers)
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers


def test_a_project_asks_so_often_and_others_do_not_suffer(fresh: Any, user_file: Path) -> None:
    api = fresh(rate_limit=0.001, rate_limit_burst=3, auth_strategy="http_basic", http_basic_auth_user_file=str(user_file))  # fmt: skip
    assert [api("GET", "loadbalancers", user="alice").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = api("GET", "loadbalancers", user="reader")  # of the same project
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 1000
    assert refused.json["faultstring"].startswith("Too many requests.")
    assert api("GET", "loadbalancers", user="bob").status_code == 200
    assert {api("GET", "/").status_code for _ in range(9)} == {200}


def users(path: Path, cost: int = 4) -> str:
    path.touch(mode=0o600)
    hashed = {
        name: bcrypt.hashpw(f"secret of {name}".encode(), bcrypt.gensalt(cost)).decode() for name in ("ann", "ben")
    }
    path.write_text("".join(f"{name}:{value}:p:member\n" for name, value in hashed.items()))
    return str(path)


@pytest.mark.parametrize("name", ["ann", "nobody-at-all"])
def test_guessing_a_password_ends_soon(fresh: Any, tmp_path: Path, name: str) -> None:
    api = fresh(auth_strategy="http_basic", http_basic_auth_user_file=users(tmp_path / "users"))
    assert api("GET", "loadbalancers", user="ben").status_code == 200

    def guess(password: str) -> int:
        return int(api("GET", "loadbalancers", headers={"Authorization": authorization(name, password)}).status_code)

    assert {guess(f"guess {number}") for number in range(10)} == {401}
    assert {guess(f"another {number}") for number in range(20)} == {429}
    assert {guess(f"guess {number}") for number in range(10)} == {401}, "a wrong password costs nothing the second time"
    assert api("GET", "loadbalancers", user="ben").status_code == 200, "who is known already is not kept out"


def test_the_same_wrong_password_keeps_nobody_out(fresh: Any, tmp_path: Path) -> None:
    api = fresh(auth_strategy="http_basic", http_basic_auth_user_file=users(tmp_path / "users"))
    wrong = {"Authorization": authorization("ann", "of last year")}
    assert {api("GET", "loadbalancers", headers=wrong).status_code for _ in range(50)} == {401}
    assert api("GET", "loadbalancers", user="ann").status_code == 200


@pytest.fixture
def audited(fresh: Any, user_file: Path) -> Callable[..., Api]:
    """Makes an API that tells of each request."""

    def make(**more: str) -> Any:
        options = {"enabled": "true", "audit_map_file": str(ROOT / "etc/audit_map.conf"), **more}
        config = "[audit]\n" + "".join(f"{name} = {value}\n" for name, value in options.items())
        return fresh(config=config, auth_strategy="http_basic", http_basic_auth_user_file=str(user_file))

    return make


def events(said: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """(type, payload) of the events told of."""
    found = []
    for line in said:
        if "Event type: " in line:
            kind, payload = line.partition("Event type: ")[2].split(", ", 1)
            found.append((kind, ast.literal_eval(payload.partition("Payload: ")[2])))
    return found


def test_audit_tells_who_did_what(audited: Callable[..., Api], said: list[str]) -> None:
    api = audited()
    made = api.make("loadbalancers", "alice")
    api("PUT", f"loadbalancers/{made['id']}/failover", user="alice")
    api("GET", "/")
    found = events(said)
    assert [kind for kind, _ in found] == ["audit.http.request", "audit.http.response"] * 2
    told = [payload for kind, payload in found if kind == "audit.http.response"]
    assert [each["action"] for each in told] == ["create", "update/failover"]
    assert [each["outcome"] for each in told] == ["success", "failure"]
    assert [each["reason"]["reasonCode"] for each in told] == ["201", "403"]
    assert told[0]["initiator"]["id"] == "alice"
    assert told[0]["initiator"]["project_id"] == "p-one"
    assert told[0]["initiator"]["request_id"].startswith("req-")
    assert told[1]["requestPath"] == f"/v2/lbaas/loadbalancers/{made['id']}/failover"


def test_audit_leaves_out_what_the_operator_does_not_want(audited: Callable[..., Api], said: list[str]) -> None:
    api = audited(ignore_req_list="GET, HEAD")
    api("GET", "loadbalancers", user="alice")
    assert events(said) == []
    api("DELETE", "loadbalancers/none", user="alice")
    assert len(events(said)) == 2


def test_operators_check_more_than_the_database(fresh: Any, tmp_path: Path) -> None:
    flag = tmp_path / "maintenance"
    config = f"[healthcheck]\nbackends = octavia_db_check, disable_by_file\ndisable_by_file_path = {flag}\n"
    api = fresh(config=config, healthcheck_enabled=True)
    assert api("GET", "/healthcheck").status_code == 200
    flag.touch()
    assert api("GET", "/healthcheck").status_code == 503
    assert api("GET", "/healthcheck", headers={"Accept": "application/json"}).json["reasons"] == [
        "OK",
        "DISABLED BY FILE",
    ]


BAD = {
    "no map": "[audit]\nenabled = true\naudit_map_file = /nowhere/at/all\n",
    "no service user": "[api]\nauth_strategy = keystone\n",
    "no such plugin": "[api]\nauth_strategy = keystone\n[keystone_authtoken]\nauth_type = bogus\n",
    "nothing for the plugin": "[api]\nauth_strategy = keystone\n[keystone_authtoken]\nauth_type = password\n",
    "no number": "[api]\nauth_strategy = keystone\n[keystone_authtoken]\nauth_type = password\ntoken_cache_time = x\n",
    "no users": "[api]\nauth_strategy = http_basic\nhttp_basic_auth_user_file = /nowhere/at/all\n",
    "no boolean": "[oslo_middleware]\nenable_proxy_headers_parsing = perhaps\n",
}


@pytest.mark.parametrize("config", BAD.values(), ids=BAD)
def test_options_that_make_no_sense_are_refused_at_the_start(tmp_path: Path, config: str) -> None:
    (tmp_path / "ottava.conf").write_text(config)
    with pytest.raises(Unusable):
        stack.check(options.load([str(tmp_path / "ottava.conf")]))
