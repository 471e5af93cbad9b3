# SPDX-License-Identifier: Apache-2.0
"""Who may do what: personas by every rule there is. A rule without a row fails."""

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from falcon.testing import TestClient
from oslo_config import cfg
from oslo_policy import policy
from support.keystone import Keystone

from ottava import options, policies
from ottava.api.app import create_app
from ottava.api.authorize import Authorizer
from ottava.api.context import context, noauth
from ottava.model.amphora import Amphora
from ottava.store import amphorae
from ottava.store import engine as engines

from .conftest import Api, authorization
from .test_api_keystone import CONFIG

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "etc/policies"

# ---- who, as keystonemiddleware says it. Objects belong to project one.

Persona = Mapping[str, str]


def persona(roles: str, project: str = "one", **more: str) -> Persona:
    return {"HTTP_X_USER_ID": "u", "HTTP_X_PROJECT_ID": project, "HTTP_X_ROLES": roles, **more}


PERSONAS: dict[str, Persona] = {
    "admin": persona("admin,manager,member,reader"),
    "admin-elsewhere": persona("admin,manager,member,reader", "two"),
    "manager": persona("manager,member,reader"),
    "member": persona("member,reader"),
    "reader": persona("reader"),
    "member-elsewhere": persona("member,reader", "two"),
    "reader-elsewhere": persona("reader", "two"),
    "service": persona("service", "three"),
    "other-role": persona("creator"),
    "no-role": persona(""),
    "system-admin": persona("admin,manager,member,reader", "", HTTP_OPENSTACK_SYSTEM_SCOPE="all"),
    "domain-admin": persona("admin,manager,member,reader", "", HTTP_X_DOMAIN_ID="default"),
    "no-project": persona("", ""),
    "nobody": {},
    "lb-admin": persona("load-balancer_admin", "two"),
    "lb-member": persona("load-balancer_member"),
    "lb-observer": persona("load-balancer_observer"),
    "lb-member-elsewhere": persona("load-balancer_member", "two"),
    "lb-global-observer": persona("load-balancer_global_observer", "two"),
    "lb-quota-admin": persona("load-balancer_quota_admin", "two"),
}

# ---- what: (access where the object has a project, and where there is none to compare with)

READ, WRITE, ADMIN, GLOBAL, SERVICE = "read", "write", "admin", "global", "service"
QUOTA_READ, QUOTA_GLOBAL, QUOTA_WRITE, EVERYWHERE = "quota-read", "quota-global", "quota-write", "everywhere"

TREE = {"get_all": READ, "get_all-global": GLOBAL, "post": WRITE, "get_one": READ, "put": WRITE, "delete": WRITE}
NESTED = {verb: access for verb, access in TREE.items() if verb != "get_all-global"}
CATALOGUE = {"get_all": EVERYWHERE, "post": ADMIN, "get_one": EVERYWHERE, "put": ADMIN, "delete": ADMIN}
PROFILES = dict.fromkeys(CATALOGUE, ADMIN)

ROWS: dict[str, dict[str, str]] = {
    "loadbalancer": {**TREE, "post:vip_sg_ids": WRITE, "put:vip_sg_ids": WRITE, "get_stats": READ, "get_status": READ, "get_events": READ,
                     "put_failover": ADMIN},
    "listener": {**TREE, "get_stats": READ},
    "pool": TREE,
    "member": {**NESTED, "get_all": SERVICE},
    "healthmonitor": TREE,
    "l7policy": TREE,
    "l7rule": NESTED,
    "quota": {"get_all": QUOTA_READ, "get_all-global": QUOTA_GLOBAL, "get_one": QUOTA_READ, "get_defaults": QUOTA_READ,
              "put": QUOTA_WRITE, "delete": QUOTA_WRITE},
    "flavor": CATALOGUE,
    "flavor-profile": PROFILES,
    "availability-zone": CATALOGUE,
    "availability-zone-profile": PROFILES,
    "provider": {"get_all": EVERYWHERE},
    "provider-flavor": {"get_all": ADMIN},
    "provider-availability-zone": {"get_all": ADMIN},
    "amphora": dict.fromkeys(("get_all", "get_one", "delete", "put_config", "put_failover", "get_stats"), ADMIN),
}  # fmt: skip

ACTIONS = {f"{resource}:{verb}": access for resource, verbs in ROWS.items() for verb, access in verbs.items()}

# ---- who may, by the kind of access

Allowed = Mapping[str, set[str]]

ADMINS = {"admin", "admin-elsewhere"}
MEMBERS = ADMINS | {"manager", "member"}
READERS = MEMBERS | {"reader"}

BY_DEFAULT: Allowed = {
    READ: READERS,
    WRITE: MEMBERS,
    SERVICE: READERS | {"service"},
    EVERYWHERE: READERS | {"member-elsewhere", "reader-elsewhere"},
    QUOTA_READ: READERS,
    **dict.fromkeys((ADMIN, GLOBAL, QUOTA_GLOBAL, QUOTA_WRITE), ADMINS),
}

LB_ADMINS = ADMINS | {"lb-admin"}
LB_WRITE = LB_ADMINS | {"lb-member"}
LB_READ = LB_WRITE | {"lb-observer", "lb-global-observer"}

BY_ROLES_OF_LOAD_BALANCING: Allowed = {
    READ: LB_READ,
    WRITE: LB_WRITE,
    SERVICE: LB_READ | {"service"},
    EVERYWHERE: LB_READ | {"lb-member-elsewhere"},
    ADMIN: LB_ADMINS,
    GLOBAL: LB_ADMINS | {"lb-global-observer"},
    QUOTA_READ: LB_READ | {"lb-quota-admin"},
    QUOTA_GLOBAL: LB_ADMINS | {"lb-global-observer", "lb-quota-admin"},
    QUOTA_WRITE: LB_ADMINS | {"lb-quota-admin"},
}

OWNERS = ADMINS | {name for name, who in PERSONAS.items() if who.get("HTTP_X_PROJECT_ID") == "one"}

BY_OWNERSHIP: Allowed = {
    **dict.fromkeys((READ, WRITE, QUOTA_READ), OWNERS),
    SERVICE: OWNERS | {"service"},
    EVERYWHERE: set(PERSONAS) - {"system-admin", "domain-admin"},
    **dict.fromkeys((ADMIN, GLOBAL, QUOTA_GLOBAL, QUOTA_WRITE), ADMINS),
}


def both(first: Allowed, second: Allowed) -> Allowed:
    return {access: first[access] | second[access] for access in first}


# ---- the options of an operator, and what comes of them

FILE = "[oslo_policy]\npolicy_file = {}\n"

SITES: dict[str, tuple[str, Allowed]] = {
    "defaults": ("", BY_DEFAULT),
    "new-and-old-defaults": ("[oslo_policy]\nenforce_new_defaults = false\n", both(BY_DEFAULT, BY_ROLES_OF_LOAD_BALANCING)),
    "scope-not-enforced": ("[oslo_policy]\nenforce_scope = false\n", BY_DEFAULT),  # oslo.policy always enforces it now
    "load-balancer-roles.yaml": (FILE.format(SAMPLES / "load-balancer-roles.yaml"), BY_ROLES_OF_LOAD_BALANCING),
    "admin-or-owner.yaml": (FILE.format(SAMPLES / "admin-or-owner.yaml"), BY_OWNERSHIP),
}  # fmt: skip


def configuration(folder: Path, text: str) -> cfg.ConfigOpts:
    path = folder / "ottava.conf"
    path.write_text(text)
    return options.load([str(path)])


@pytest.fixture(scope="module")
def authorizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Authorizer]:
    """One by each site's options."""
    folder = tmp_path_factory.mktemp("sites")
    return {name: Authorizer(configuration(folder, text)) for name, (text, _) in SITES.items()}


RULES = {
    rule.name.removeprefix(policies.PREFIX): rule
    for rule in policies.list_rules()
    if isinstance(rule, policy.DocumentedRuleDefault)
}


def test_each_rule_has_a_row_and_each_row_a_rule() -> None:
    assert set(RULES) == set(ACTIONS)


@pytest.mark.parametrize("action", RULES)
@pytest.mark.parametrize("site", SITES)
def test_every_rule(authorizers: dict[str, Authorizer], site: str, action: str) -> None:
    access = ACTIONS[action]
    project = "one" if access in (READ, WRITE, SERVICE, QUOTA_READ, QUOTA_WRITE) else None
    may = {name for name, who in PERSONAS.items() if authorizers[site].allowed(context(dict(who)), action, project)}
    assert may == SITES[site][1][access]


def test_noauth_may_everything(authorizers: dict[str, Authorizer]) -> None:
    seen: list[Any] = []
    app: Callable[..., Any] = noauth(lambda environ, start_response: seen.append(context(environ)) or [])  # type: ignore[func-returns-value]
    for who in PERSONAS.values():
        app(dict(who), None)
    assert all(authorizers["defaults"].allowed(who, action, "one") for who in seen for action in ACTIONS)


# ---- the same through the doors of the API: each request asks its own rule

WHO = {  # at the doors: the persona, its project, its roles
    "root": ("admin-elsewhere", "two", ["admin"]),
    "alice": ("member", "one", ["member"]),
    "reader": ("reader", "one", ["reader"]),
    "bob": ("member-elsewhere", "two", ["member"]),
    "aodh": ("service", "three", ["service"]),
    "nobody": ("other-role", "one", ["other"]),
}

BODIES: dict[str, dict[str, object]] = {  # of a POST; words in capitals stand for ids
    "loadbalancer": {"vip_subnet_id": "SUBNET", "project_id": "PROJECT"},
    "listener": {"loadbalancer_id": "LOADBALANCER", "protocol": "TCP", "protocol_port": 81},
    "pool": {"loadbalancer_id": "LOADBALANCER", "protocol": "TCP", "lb_algorithm": "SOURCE_IP"},
    "member": {"address": "198.18.0.77", "protocol_port": 78},
    "healthmonitor": {"pool_id": "POOL", "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1},
    "l7policy": {"listener_id": "LISTENER", "action": "REJECT"},
    "l7rule": {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"},
    "flavor": {"name": "new", "flavor_profile_id": "FLAVOR_PROFILE"},
    "flavor-profile": {"name": "new", "provider_name": "octavia", "flavor_data": "{}"},
    "availability-zone": {"name": "new", "availability_zone_profile_id": "AVAILABILITY_ZONE_PROFILE"},
    "availability-zone-profile": {"name": "new", "provider_name": "octavia", "availability_zone_data": "{}"},
}
KEYS = {
    "l7rule": "rule",
    "flavor-profile": "flavorprofile",
    "availability-zone": "availability_zone",
    "availability-zone-profile": "availability_zone_profile",
}


MISSING = "6dd1b2f8-1111-4111-8111-111111111111"


class Door:
    """An API, and how each of WHO comes in; PROJECT is theirs of project one."""

    def __init__(self, api: Api, project: str, headers: Mapping[str, Mapping[str, str]]) -> None:
        self.api, self.project, self.headers = api, project, headers
        self.offered = {
            "FLAVOR": MISSING, "FLAVOR_PROFILE": MISSING, "AVAILABILITY_ZONE": "nowhere",
            "AVAILABILITY_ZONE_PROFILE": MISSING,
        }  # fmt: skip

    def ask(self, who: str, method: str, path: str, body: object = None) -> Any:
        return self.api(method, path, body, headers=self.headers[who])

    def tree(self) -> dict[str, str]:
        """The ids of a new load balancer of project one, with one object of each kind."""
        pool = {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN",
                "members": [{"address": "198.18.0.77", "protocol_port": 77}],
                "healthmonitor": {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}}  # fmt: skip
        rules = [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}]
        listener = {"protocol": "HTTP", "protocol_port": 80, "default_pool": pool,
                    "l7policies": [{"action": "REJECT", "rules": rules}]}  # fmt: skip
        body = {"loadbalancer": {"vip_subnet_id": self.api.subnet_id, "listeners": [listener]}}
        made = self.ask("alice", "POST", "loadbalancers", body).json["loadbalancer"]
        listener, pool = made["listeners"][0], made["pools"][0]
        amphora = Amphora(id=str(uuid.uuid4()), loadbalancer_id=made["id"], host="north")
        with engines.writing(self.api.engine) as conn:
            amphorae.place(conn, amphora)
        return {
            "SUBNET": self.api.subnet_id, "PROJECT": self.project, "PROVIDER": "octavia", "AMPHORA": amphora.id, **self.offered,
            "LOADBALANCER": made["id"], "LISTENER": listener["id"], "POOL": pool["id"],
            "MEMBER": pool["members"][0]["id"], "HEALTHMONITOR": pool["healthmonitor"]["id"],
            "L7POLICY": listener["l7policies"][0]["id"], "L7RULE": listener["l7policies"][0]["rules"][0]["id"],
        }  # fmt: skip


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory, user_file: Path) -> Door:
    """By the file of users."""
    api = Api(tmp_path_factory.mktemp("basic"), auth_strategy="http_basic", http_basic_auth_user_file=str(user_file))
    return Door(api, "p-one", {who: {"Authorization": authorization(who)} for who in WHO})


@pytest.fixture(scope="module")
def tokens(keystone: Keystone, tmp_path_factory: pytest.TempPathFactory) -> Door:
    """By tokens of Keystone."""
    service = keystone.user("ottava", keystone.project("service"), ["service"])
    config = CONFIG.format(url=keystone.url, user=service, more="")
    api = Api(tmp_path_factory.mktemp("tokens"), config, auth_strategy="keystone")
    projects = {name: keystone.project(name) for name in ("one", "two", "three")}
    users = {who: keystone.user(who, projects[project], roles) for who, (_, project, roles) in WHO.items()}
    return Door(api, projects["one"].id, {who: {"X-Auth-Token": keystone.token(user)} for who, user in users.items()})


@pytest.fixture(params=["basic", "tokens"])
def door(request: pytest.FixtureRequest) -> Door:
    """Each door."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def requested(action: str, names: Mapping[str, str]) -> tuple[str, str, object]:
    """The request that asks a rule: method, path, body."""
    operation = RULES[action].operations[0]
    path = "/".join(
        names[part.strip("{}").removesuffix("_id").upper()] if part.startswith("{") else part
        for part in operation["path"].split("/")
    )
    resource, verb = action.split(":")[:2]
    more = {"vip_sg_ids": [MISSING]} if action.endswith("vip_sg_ids") else {}
    key = KEYS.get(resource, resource)
    if verb == "post":
        values = {name: names.get(str(value), value) for name, value in BODIES[resource].items()}
        return "POST", path, {key: {**values, **more}}
    if verb == "put":
        changes = {"quota": {"pool": -1}, "l7policy": {"admin_state_up": True}}
        return "PUT", path, {key: changes.get(resource, more)}
    return operation["method"], path, None


@pytest.mark.parametrize("action", RULES)
def test_every_request(door: Door, action: str) -> None:
    names = door.tree()
    method, path, body = requested(action, names)
    verb = action.partition(":")[2]
    statuses = {who: door.ask(who, method, path, body).status_code for who in reversed(WHO)}  # the mightiest come last
    access = ACTIONS[action]
    if verb.startswith("get_all") and access != ADMIN and "{" not in RULES[action].operations[0]["path"]:
        access = EVERYWHERE  # a list shows what one may see
    may = {who for who, (name, *_) in WHO.items() if name in BY_DEFAULT[access]}
    assert {who for who, status in statuses.items() if status != 403} == may, statuses
    assert not {401, 405, 500} & set(statuses.values()), statuses


@pytest.mark.parametrize("action", [each for each in RULES if each.endswith("-global") and "quota" not in each])
def test_every_list(door: Door, action: str) -> None:
    names = door.tree()
    _, path, _ = requested(action, names)
    id = names[action.partition(":")[0].upper()]
    seen = {who for who in ("root", "alice", "reader", "bob") if id in door.ask(who, "GET", path).text}
    assert seen == {"root", "alice", "reader"}
    refused = {who for who in WHO if door.ask(who, "GET", f"{path}?project_id={door.project}").status_code == 403}
    assert refused == {"bob", "aodh", "nobody"}


@pytest.mark.parametrize("action", [each for each in RULES if not each.endswith("-global")])
def test_each_request_asks_its_own_rule(basic: Door, tmp_path: Path, action: str) -> None:
    api, names = basic.api, basic.tree()
    method, path, body = requested(action, names)
    closed = {f"{policies.PREFIX}{each}": "!" for each in (action, f"{action}-global") if each in RULES}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(closed))
    conf = configuration(tmp_path, f"[oslo_policy]\npolicy_file = {tmp_path}/policy.yaml\n")
    client = TestClient(create_app(conf, api.engine, api.network, api.wakeup))
    answer = client.simulate_request(method, path, json=body)
    assert (answer.status_code, answer.json["faultstring"]) == (
        403,
        "Policy does not allow this request to be performed.",
    )
