# SPDX-License-Identifier: Apache-2.0
"""The API as one WSGI application, and the whole table of its routes; stack.py has the middleware."""

import falcon
from oslo_config import cfg
from sqlalchemy import Engine

from ottava.api import amphorae, errors, openapi, stack
from ottava.api.authorize import Authorizer
from ottava.api.catalogues import Catalogue, Offer
from ottava.api.context import Wsgi
from ottava.api.events import Events
from ottava.api.health import Healthcheck, checks
from ottava.api.load_balancers import Failover, LoadBalancers, OneLoadBalancer, Status
from ottava.api.members import Members
from ottava.api.networks import Networks, Subnets
from ottava.api.pools import Pools
from ottava.api.providers import Capabilities, Providers
from ottava.api.quotas import Defaults, OneQuota, Quotas
from ottava.api.resource import Collection, Item
from ottava.api.settings import settings
from ottava.api.site import Site, Wakeup
from ottava.api.stats import Stats
from ottava.api.versions import Version, Versions
from ottava.cloud.network.base import NetworkService
from ottava.model import errors as refused
from ottava.model.catalogue import AvailabilityZone, AvailabilityZoneProfile, Entry, Flavor, FlavorProfile
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.model.resource import Resource
from ottava.provider import registry
from ottava.store import statistics


def routes(site: Site) -> dict[str, object]:
    """Every path, as paths.normal() leaves it, and what handles it."""
    table: dict[str, object] = {
        "/": Versions(site),
        "/healthcheck": Healthcheck(site),
        "/v2": Version(site),
        "/v2/octavia": Version(site),
        **_resource(site, "/v2/loadbalancers", LoadBalancer, LoadBalancers, OneLoadBalancer),
        "/v2/loadbalancers/{loadbalancer_id}/status": Status(site, LoadBalancer),
        "/v2/loadbalancers/{loadbalancer_id}/statuses": Status(site, LoadBalancer),
        "/v2/loadbalancers/{loadbalancer_id}/stats": Stats(site, LoadBalancer, statistics.of_load_balancer),
        "/v2/loadbalancers/{loadbalancer_id}/events": Events(site, LoadBalancer),
        "/v2/loadbalancers/{loadbalancer_id}/failover": Failover(site, LoadBalancer),
        **_resource(site, "/v2/listeners", Listener),
        "/v2/listeners/{listener_id}/stats": Stats(site, Listener, statistics.of_listener),
        **_resource(site, "/v2/pools", Pool, Pools),
        **_resource(site, "/v2/pools/{pool_id}/members", Member, Members),
        **_resource(site, "/v2/healthmonitors", HealthMonitor),
        **_resource(site, "/v2/l7policies", L7Policy),
        **_resource(site, "/v2/l7policies/{l7policy_id}/rules", L7Rule),
        "/v2/quotas": Quotas(site),
        "/v2/quotas/{project_id}": OneQuota(site),
        "/v2/quotas/{project_id}/default": Defaults(site),
        "/v2/octavia/amphorae": amphorae.Amphorae(site),
        "/v2/octavia/amphorae/{amphora_id}": amphorae.OneAmphora(site),
        "/v2/octavia/amphorae/{amphora_id}/failover": amphorae.Failover(site),
        "/v2/octavia/amphorae/{amphora_id}/config": amphorae.Configure(site),
        "/v2/octavia/amphorae/{amphora_id}/stats": amphorae.Stats(site),
        **_catalogue(site, "/v2/flavors", Flavor),
        **_catalogue(site, "/v2/flavorprofiles", FlavorProfile),
        **_catalogue(site, "/v2/availabilityzones", AvailabilityZone),
        **_catalogue(site, "/v2/availabilityzoneprofiles", AvailabilityZoneProfile),
        "/v2/providers": Providers(site),
        "/v2/providers/{provider}/flavor_capabilities": Capabilities(
            site, "flavor_capabilities", lambda provider: provider.flavor_capabilities
        ),
        "/v2/providers/{provider}/availability_zone_capabilities": Capabilities(
            site, "availability_zone_capabilities", lambda provider: provider.availability_zone_capabilities
        ),
        "/v2/networks": Networks(site),
        "/v2/subnets": Subnets(site),
    }
    table["/openapi.json"] = openapi.Document(table)
    return table


def _resource(
    site: Site,
    path: str,
    cls: type[Resource],
    collection: type[Collection] = Collection,
    item: type[Item] = Item,
) -> dict[str, object]:
    """The five verbs of a resource."""
    return {path: collection(site, cls), f"{path}/{{{cls.kind.parameter}}}": item(site, cls)}


def _catalogue(site: Site, path: str, cls: type[Entry]) -> dict[str, object]:
    """The five verbs of what is on offer."""
    return {path: Catalogue(site, cls), f"{path}/{{{cls.kind.parameter}}}": Offer(site, cls)}


def make_site(conf: cfg.ConfigOpts, engine: Engine, network: NetworkService, wakeup: Wakeup) -> Site:
    """What the handlers need, by the options. Raises registry.BadProviders."""
    known = registry.IDLE if conf.api.noop else registry.KNOWN
    providers = registry.Providers(conf.api.enabled_provider_drivers, conf.api.default_provider_driver, known)
    health = checks(conf, engine) if conf.api.healthcheck_enabled else None
    return Site(settings(conf), engine, network, wakeup, Authorizer(conf), providers, health)


def create_app(conf: cfg.ConfigOpts, engine: Engine, network: NetworkService, wakeup: Wakeup) -> Wsgi:
    """The application.

    Raises context.Unusable when the options make no sense or let nobody in, registry.BadProviders.
    """
    site = make_site(conf, engine, network, wakeup)
    chosen = site.settings
    app: falcon.App[falcon.Request, falcon.Response] = falcon.App(middleware=[AcceptsJson(), NeedsId()])
    errors.install(app)
    for path, handler in routes(site).items():
        app.add_route(path, handler)
    return stack.wrapped(app, conf, chosen)  # type: ignore[arg-type]


class AcceptsJson:
    """Refuse (406) clients that take no JSON; an empty Accept header, which old ones send, takes anything."""

    def process_resource(self, req: falcon.Request, resp: falcon.Response, resource: object, params: object) -> None:
        accept = req.get_header("Accept") or "*/*"
        if "*/*" in accept or "json" in accept or isinstance(resource, Healthcheck):
            return
        if not req.client_accepts("application/json"):
            raise falcon.HTTPNotAcceptable(description="The answer would be application/json.")


class NeedsId:
    """Refuse what is asked of a whole collection and can only be done with one object."""

    def process_resource(self, req: falcon.Request, resp: falcon.Response, resource: object, params: object) -> None:
        done = f"on_{req.method.lower()}"
        if (
            req.method in ("PUT", "DELETE")
            and isinstance(resource, Collection | Catalogue)
            and not hasattr(resource, done)
        ):
            raise refused.BadBody(argument="id", empty=True)
