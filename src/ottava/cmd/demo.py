# SPDX-License-Identifier: Apache-2.0
"""`ottava up --demo`: two web servers, a load balancer over them, and what to try next.

The servers stay when `ottava up` ends, as the proxies do; `ottava down` removes them, for their namespaces carry the tag.
"""

import hashlib
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import httpx
from oslo_config import cfg
from sqlalchemy import Engine

from ottava.agent import links, namespaces, processes
from ottava.cloud.network.base import Network, NetworkService, Subnet
from ottava.cmd import settings
from ottava.cmd.mistakes import UserMistake
from ottava.store.addresses import Addresses
from ottava.wire.desired import Bridge, Interface

NAME = "demo"
MEMBERS = ("web-1", "web-2")
PORT = 80
REQUESTS = 10
PATIENCE = 60.0


@dataclass(frozen=True)
class Place:
    """Where the members are attached."""

    network: Network
    subnet: Subnet

    @property
    def prefix_length(self) -> int:
        """Of the subnet."""
        return ip_network(self.subnet.cidr).prefixlen


def show(conf: cfg.ConfigOpts, engine: Engine) -> None:
    """Make what is missing, send requests, print what to try next. Raises UserMistake."""
    if conf.api.auth_strategy != "noauth":
        raise UserMistake("--demo asks the API without a password, so it needs auth_strategy noauth")
    book = Addresses(engine)
    place = _place(settings.network(conf, book))
    addresses = {name: _address(book, place, name) for name in MEMBERS}
    try:
        for name, address in addresses.items():
            _start(conf.agent.tag, place, name, address)
    except OSError as error:
        raise UserMistake(f"cannot start the web servers of the demonstration: {error}") from error
    url = settings.url(conf.api.bind_host, conf.api.bind_port, "http")
    with httpx.Client(base_url=f"{url}/v2/lbaas/", timeout=30.0, trust_env=False) as api:
        balancer = _active(api, _balancer(api, place, addresses))
    page = _page(balancer)
    _wait_for_members(page)
    print(_shared(page))
    print(f"Load balancer ACTIVE: {page}")
    print(_next(url, page, balancer["id"]), flush=True)


def _place(network: NetworkService) -> Place:
    """The first subnet of the first network; IPv4 if it has that."""
    first = network.networks()[0]
    return Place(first, min(first.subnets, key=lambda subnet: ip_network(subnet.cidr).version))


def _address(book: Addresses, place: Place, name: str) -> str:
    """The address of a member, from the book, so that no virtual IP ever gets it; always the same one."""
    port_id = str(uuid.uuid5(uuid.UUID(place.network.id), f"{NAME} {name}"))
    candidates = (str(address) for address in _hosts(place))
    return book.take(place.network.id, place.subnet.id, port_id, "", candidates)


def _hosts(place: Place) -> Iterator[object]:
    cidr = ip_network(place.subnet.cidr)
    return (cidr[number] for number in range(2, min(cidr.num_addresses - 1, 200)))


def _start(tag: str, place: Place, name: str, address: str) -> None:
    """A web server in a namespace of its own on the bridge, unless it is there. Raises OSError."""
    namespace = f"{tag}-{NAME}-{name}"
    lengths = {subnet.gateway: ip_network(subnet.cidr).prefixlen for subnet in place.network.subnets}
    bridge = Bridge(place.network.bridge, tuple(f"{gateway}/{length}" for gateway, length in lengths.items()))
    mac = ":".join(["02", *(f"{byte:02x}" for byte in hashlib.sha256(namespace.encode()).digest()[:5])])
    namespaces.ensure(namespace)
    links.ensure_bridge(bridge)
    links.ensure_interface(
        tag,
        namespace,
        Interface(
            name="net0",
            mac=mac,
            bridge=bridge,
            addresses=(f"{address}/{place.prefix_length}",),
            gateways=(place.subnet.gateway,),
        ),
    )
    if processes.living_in({namespaces.inode(namespace)}):
        return
    with namespaces.inside(namespace):
        subprocess.Popen(
            [sys.executable, "-m", "ottava.cmd.demo_server", name, address, str(PORT)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**processes.ENVIRONMENT, **{key: value for key, value in os.environ.items() if key == "PYTHONPATH"}},
            cwd="/",
            start_new_session=True,
        )


def _balancer(api: httpx.Client, place: Place, addresses: dict[str, str]) -> dict[str, Any]:
    """The load balancer of the demonstration: the one that is there, or a new one in a single call."""
    found = _ask(api, "GET", "loadbalancers", params={"name": NAME})["loadbalancers"]
    if found:
        return dict(found[0])
    members = [
        {"name": name, "address": address, "protocol_port": PORT, "subnet_id": place.subnet.id}
        for name, address in addresses.items()
    ]
    monitor = {"type": "HTTP", "delay": 2, "timeout": 1, "max_retries": 2}
    pool = {
        "name": "web",
        "protocol": "HTTP",
        "lb_algorithm": "ROUND_ROBIN",
        "members": members,
        "healthmonitor": monitor,
    }
    listener = {"name": "http", "protocol": "HTTP", "protocol_port": PORT, "default_pool": pool}
    wish = {"name": NAME, "vip_subnet_id": place.subnet.id, "listeners": [listener]}
    return dict(_ask(api, "POST", "loadbalancers", json={"loadbalancer": wish})["loadbalancer"])


def _active(api: httpx.Client, balancer: dict[str, Any]) -> dict[str, Any]:
    """The load balancer once it is ACTIVE. Raises UserMistake."""
    deadline = time.monotonic() + PATIENCE
    while balancer["provisioning_status"] != "ACTIVE":
        if time.monotonic() > deadline:
            raise UserMistake(
                f"the load balancer is {balancer['provisioning_status']}; `ottava why {balancer['id']}` says why"
            )
        time.sleep(0.05)
        balancer = _ask(api, "GET", f"loadbalancers/{balancer['id']}")["loadbalancer"]
    return balancer


def _ask(api: httpx.Client, method: str, path: str, **more: Any) -> dict[str, Any]:
    try:
        answer = api.request(method, path, **more)
    except httpx.HTTPError as error:
        raise UserMistake(f"the API does not answer: {error}") from error
    if answer.is_error:
        raise UserMistake(f"the API refuses {method} {path}: {answer.text}")
    return dict(answer.json())


def _page(balancer: dict[str, Any]) -> str:
    address = balancer["vip_address"]
    return f"http://{f'[{address}]' if ':' in address else address}:{PORT}/"


def _wait_for_members(page: str) -> None:
    """Until every member has answered: a health monitor takes a moment to trust a member. Raises UserMistake."""
    deadline = time.monotonic() + PATIENCE
    seen: set[str] = set()
    while not seen >= set(MEMBERS):
        if time.monotonic() > deadline:
            raise UserMistake(f"{page} is not answered by all of {', '.join(MEMBERS)}: `ottava why {NAME}` may say why")
        time.sleep(0.02)
        seen |= set(_answers(page, 2))


def _shared(page: str) -> str:
    """How a few requests are shared between the members, in words."""
    counts = Counter(_answers(page, REQUESTS))
    return f"{REQUESTS} requests: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _answers(page: str, number: int) -> list[str]:
    found = []
    with httpx.Client(timeout=5.0, trust_env=False) as client:
        for _ in range(number):
            try:
                answer = client.get(page)
            except httpx.HTTPError:
                continue
            found.append(answer.text.strip() if answer.is_success else f"status {answer.status_code}")
    return found


def _next(url: str, page: str, id: str) -> str:
    """The commands to try."""
    program = os.path.join(os.path.dirname(sys.executable), "openstack")
    openstack = program if os.path.exists(program) else "openstack"
    ottava = os.path.join(os.path.dirname(sys.executable), "ottava")
    return f"""
Try next, in another terminal:
  curl {page}
  curl {url}/
  curl {url}/v2/lbaas/loadbalancers/{id}/status
  export OS_AUTH_TYPE=none OS_ENDPOINT={url}
  {openstack} loadbalancer list
  {openstack} loadbalancer member list web
  {openstack} loadbalancer member set --weight 3 web web-1
  sudo {ottava} why {NAME}
  sudo {ottava} down          (removes everything that Ottava made on this machine)

With a clouds.yaml (openstack --os-cloud ottava ..., openstacksdk):
  clouds:
    ottava:
      auth_type: none
      auth: {{endpoint: {url}}}
      load_balancer_endpoint_override: {url}

This stays up until you press ^C; the load balancer serves on after that."""
