# SPDX-License-Identifier: Apache-2.0
"""Hostile and senseless input: it is refused in words, it changes nothing, and it is never a 5xx."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.fuzz import examples

from ottava.model.attribute import Create, attributes
from ottava.model.graph import RESOURCES

NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 65536, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 0.5, -0.0, 1e300, "", " ", "0", "-1", "1e3",
    "x" * 256, "x" * 5000, "a\x00b", "\x00", "a\nb", "a\r\nb", "%00", "#", "'\"`{}%s%(x)s${x}\\", "٣", "\u202e", "\U0001f600",
    "e\u0301" * 100, "NaN", "Infinity", "0x10", "1_000", [], [None], [[]], [1, "a"], ["a"] * 300, {}, {"a": None}, {"": ""},
    {"type": None}, {"type": [], "cookie_name": {}}, {"a": {"b": {"c": []}}}, "00000000-0000-0000-0000-000000000000",
    "::ffff:198.18.0.1", "fe80::1%eth0", "198.18.0.1/99", "http://", "http://[::1", "/%zz", "//x", "200-", "200,,201", "1.1",
]  # fmt: skip


@pytest.fixture(scope="module")
def ids(api: Any) -> dict[str, str]:
    """One object of each kind, by its name."""
    balancer = api.make(
        "loadbalancers",
        listeners=[{"protocol": "HTTP", "protocol_port": 80, "l7policies": [
            {"action": "REJECT", "rules": [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}]}]}],
        pools=[{"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": [{"address": "198.18.0.1", "protocol_port": 80}],
                "healthmonitor": {"type": "HTTP", "delay": 5, "timeout": 2, "max_retries": 3}}],
    )  # fmt: skip
    listener, pool = balancer["listeners"][0], balancer["pools"][0]
    policy = listener["l7policies"][0]
    return {
        "loadbalancer": balancer["id"], "listener": listener["id"], "pool": pool["id"], "l7policy": policy["id"],
        "member": pool["members"][0]["id"], "healthmonitor": pool["healthmonitor"]["id"], "rule": policy["rules"][0]["id"],
    }  # fmt: skip


def collection(kind: str, ids: dict[str, str]) -> str:
    inside = {"member": f"pools/{ids['pool']}/", "rule": f"l7policies/{ids['l7policy']}/"}
    return inside.get(kind, "") + RESOURCES[kind].kind.plural


PORTS = itertools.count(1000)


def good(kind: str, api: Any, ids: dict[str, str]) -> dict[str, Any]:
    """A body that would be taken."""
    port = next(PORTS)
    return {
        "loadbalancer": {"vip_subnet_id": api.subnet_id},
        "listener": {"loadbalancer_id": ids["loadbalancer"], "protocol": "HTTP", "protocol_port": port},
        "pool": {"loadbalancer_id": ids["loadbalancer"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"},
        "member": {"address": "198.18.0.2", "protocol_port": port},
        "healthmonitor": {"pool_id": ids["pool"], "type": "HTTP", "delay": 5, "timeout": 2, "max_retries": 3},
        "l7policy": {
            "listener_id": ids["listener"],
            "action": "REDIRECT_TO_URL",
            "redirect_url": "http://example.com/",
        },
        "rule": {"type": "HEADER", "key": "a", "compare_type": "EQUAL_TO", "value": "b"},
    }[kind]


def sent(api: Any, verb: str, path: str, body: object) -> int:
    """The status of a request that must not be a fault of the server's; 501 is the provider's word."""
    result = api(verb, path, body)
    assert result.status_code < 500 or result.status_code == 501, (verb, path, body, result.text)
    if result.status_code >= 400 and result.status_code != 413:
        msgspec.json.decode(result.content)
        assert "Traceback" not in result.text
        assert "sqlite" not in result.text.lower()
    return result.status_code


@pytest.mark.parametrize("kind", RESOURCES)
def test_every_attribute_takes_every_nasty_value(api: Any, ids: dict[str, str], kind: str) -> None:
    for name in attributes(RESOURCES[kind]):
        for value in NASTY:
            sent(api, "PUT", f"{collection(kind, ids)}/{ids[kind]}", {kind: {name: value}})
            if kind != "loadbalancer" and attributes(RESOURCES[kind])[name].create is not Create.NEVER:
                body = {kind: {**good(kind, api, ids), name: value}}
                sent(api, "POST", collection(kind, ids), body)


@pytest.mark.parametrize("kind", RESOURCES)
def test_every_nested_key_takes_every_nasty_value(api: Any, ids: dict[str, str], kind: str) -> None:
    for name in RESOURCES[kind].kind.nested:
        for value in NASTY:
            status = sent(api, "POST", collection(kind, ids), {kind: {**good(kind, api, ids), name: value}})
            assert status in ((201,) if value in (None, [], {}, "", 0, False) else (400, 404, 409)) or status == 400


@pytest.mark.parametrize("value", NASTY, ids=range(len(NASTY)))
def test_every_root_takes_every_nasty_value(api: Any, ids: dict[str, str], value: Any) -> None:
    for kind in RESOURCES:
        path = collection(kind, ids)
        for body in (value, {kind: value}, {kind: [value]}):
            assert sent(api, "POST", path, body) in (400, 404)
            assert sent(api, "PUT", f"{path}/{ids[kind]}", body) in (400, 200 if body == {kind: {}} else 400)
    for body in (value, {"members": value}, {"members": [value]}):
        if body != {"members": []}:
            assert sent(api, "PUT", f"pools/{ids['pool']}/members", body) == 400
    assert sent(api, "PUT", "quotas/p", {"quota": value}) in ((202,) if value == {} else (400,))


FILTERED = sorted({name for cls in RESOURCES.values() for name in attributes(cls)})


def test_every_filter_takes_every_nasty_value(api: Any, ids: dict[str, str]) -> None:
    for kind in RESOURCES:
        for name in attributes(RESOURCES[kind]):
            for value in ("", "a'b", '"', "%00", "9" * 30, "-1", "%C3%A9", "%FF", "1e5", "%25"):
                sent(api, "GET", f"{collection(kind, ids)}?{name}={value}", None)


DEEP = [b'{"a":' * 100000, b"[" * 100000, b'{"listener":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"listener":{"tags":' + b"[" * 200 + b"]" * 200 + b"}}", b'{"listener":' + b"9" * 5000 + b"}",
        b'{"listener":{"protocol_port":' + b"9" * 4000 + b"}}", b'{"listener":{"name":"\\u0000"}}', b"\xff\xfe", b"\x00",
        b'{"listener":{"protocol_port":1e999}}', b'{"listener":{"name":"' + b"\xff" + b'"}}']  # fmt: skip


@pytest.mark.parametrize("raw", DEEP, ids=range(len(DEEP)))
def test_deep_and_broken_json(api: Any, raw: bytes) -> None:
    assert sent(api, "POST", "listeners", raw) in (400, 413)


def test_bodies_that_are_too_large(api: Any) -> None:
    for more in ({}, {"headers": {"Content-Length": "99999999999999999999999"}}):
        result = api("POST", "listeners", b" " * 114689, **more)
        assert result.status_code == 413
    assert api("POST", "listeners", b" " * 114688).status_code == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=8), inside, max_size=4),
    max_leaves=12,
)
WORDS = [  # what bodies really contain: hits deeper than what is merely random
    "HTTP", "TCP", "ROUND_ROBIN", "REJECT", "REDIRECT_TO_POOL", "REDIRECT_TO_URL", "REDIRECT_PREFIX", "198.18.0.3", "fd00::1",
    "http://example.com/", "PATH", "HEADER", "COOKIE", "REGEX", "EQUAL_TO", "a", 80, 1, 0, True, None, "200-204", "APP_COOKIE",
]  # fmt: skip
VALUES = st.one_of(st.sampled_from(WORDS), JSON)


def objects(kind: str, depth: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of a kind: known keys with values that may fit, and children in their places."""
    cls = RESOURCES[kind]
    keys: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(attributes(cls), VALUES)
    if depth:
        for key, target in cls.kind.nested.items():
            one = objects(target, depth - 1)
            keys[key] = st.one_of(one, st.lists(one, max_size=2), st.none())
    return st.fixed_dictionaries({}, optional=keys)


@settings(deadline=None, max_examples=examples(60), suppress_health_check=list(HealthCheck))
@given(data=st.data(), verb=st.sampled_from(("POST", "PUT")), kind=st.sampled_from(sorted(RESOURCES)))
def test_fuzzed_bodies(api: Any, ids: dict[str, str], data: st.DataObject, verb: str, kind: str) -> None:
    body = data.draw(objects(kind))
    if data.draw(st.booleans()):
        body = {**good(kind, api, ids), **body}
    body.pop("project_id", None)
    path = collection(kind, ids) + (f"/{ids[kind]}" if verb == "PUT" else "")
    before = api.everything()
    if sent(api, verb, path, {kind: body}) >= 400:
        assert api.everything() == before


@settings(deadline=None, max_examples=examples(60), suppress_health_check=list(HealthCheck))
@given(listeners=st.lists(objects("listener"), max_size=2), pools=st.lists(objects("pool"), max_size=2))
def test_fuzzed_trees(api: Any, ids: dict[str, str], listeners: list[Any], pools: list[Any]) -> None:
    body = {"vip_subnet_id": api.subnet_id, "listeners": listeners, "pools": pools}
    before = api.everything()
    if sent(api, "POST", "loadbalancers", {"loadbalancer": body}) >= 400:
        assert api.everything() == before


QUERY = st.text(alphabet="abcdefgilmnoprstuxy_=&,:;%+-.0129ADEF\x00é# ", max_size=60)
PAIRS = st.lists(
    st.tuples(
        st.sampled_from((*FILTERED, "sort", "sort_key", "sort_dir", "limit", "marker", "page_reverse", "fields", "tags",
                         "tags-any", "not-tags", "not-tags-any")),
        st.sampled_from(("", "a", "1", "-5", "name", "id:desc", "name,id", "asc", "True", "%ff", "x" * 300)),
    ),
    max_size=5,
).map(lambda pairs: "&".join(f"{key}={value}" for key, value in pairs))  # fmt: skip


@settings(deadline=None, max_examples=examples(300), suppress_health_check=list(HealthCheck))
@given(query=st.one_of(QUERY, PAIRS), kind=st.sampled_from(sorted(RESOURCES)), one=st.booleans())
@example(query="limit=%E0%B9%91", kind="pool", one=False)
@example(query="&" * 3000, kind="pool", one=False)
def test_fuzzed_queries(api: Any, ids: dict[str, str], query: str, kind: str, one: bool) -> None:
    encoded = "".join(char if char.isascii() and char.isprintable() and char != " " else "%25" for char in query)
    sent(api, "GET", collection(kind, ids) + (f"/{ids[kind]}" if one else "") + f"?{encoded}", None)


@settings(deadline=None, max_examples=examples(200))
@given(
    path=st.text(alphabet="/v2.0lbaspoc%{}\x00é ~-", max_size=40),
    verb=st.sampled_from(("GET", "PUT", "DELETE", "POST")),
)
def test_fuzzed_paths(api: Any, path: str, verb: str) -> None:
    result = api.client.simulate_request(
        verb, "/" + path.replace("?", ""), body=b"{}", headers={"Content-Type": "application/json"}
    )
    assert result.status_code < 500
