# SPDX-License-Identifier: Apache-2.0
"""What a new load balancer chooses of what is on offer, and which provider carries it out because of that."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from ottava.api.catalogues import check, data
from ottava.api.site import Site
from ottava.model import errors
from ottava.model.catalogue import AvailabilityZone, AvailabilityZoneProfile, Flavor, FlavorProfile
from ottava.model.load_balancer import LoadBalancer
from ottava.store import catalogues
from ottava.store.engine import reading

Wanted = Mapping[str, object]
E = TypeVar("E", Flavor, AvailabilityZone)


def settled(site: Site, balancer: LoadBalancer, named: bool) -> LoadBalancer:
    """The load balancer with its provider: the one that it names, that of its flavor, or the default; and with the kinds
    of ports that its flavor says.

    named: whether its provider was asked for.
    Raises Invalid, DisabledOption, FlavorMismatch, ProviderNotEnabled, Unsupported.
    """
    provider = balancer.provider if named else site.providers.default
    wanted: Wanted = {}
    if balancer.flavor_id is not None or balancer.availability_zone is not None:
        with reading(site.engine) as conn:
            provider, wanted = _provider(site, conn, balancer, provider if named else None)
    site.providers.get(provider)
    return msgspec.structs.replace(
        balancer,
        provider=provider,
        vip_vnic_type="direct" if wanted.get("sriov_vip") is True else "normal",
        allow_member_sriov=wanted.get("allow_member_sriov") is True,
    )


def hold(site: Site, conn: Connection, balancer: LoadBalancer) -> None:
    """Keep what a load balancer has chosen on offer until the transaction ends. Raises what `settled` does."""
    _provider(site, conn, balancer, balancer.provider, share=True)


def _provider(
    site: Site, conn: Connection, balancer: LoadBalancer, named: str | None, share: bool = False
) -> tuple[str, Wanted]:
    """The provider, and what the flavor tells it."""
    wanted: Wanted = {}
    provider = site.providers.default if named is None else named
    if balancer.flavor_id is not None:
        flavor = _chosen(conn, Flavor, balancer.flavor_id, share)
        meaning = catalogues.get(conn, FlavorProfile, flavor.flavor_profile_id)
        assert meaning is not None
        if named is not None and meaning.provider_name != named:
            raise errors.FlavorMismatch(id=flavor.id, provider=named)
        provider = meaning.provider_name
        check(site, meaning)
        wanted = data(meaning.flavor_data, "flavor_data")
    if balancer.availability_zone is not None:
        zone = _chosen(conn, AvailabilityZone, balancer.availability_zone, share)
        where = catalogues.get(conn, AvailabilityZoneProfile, zone.availability_zone_profile_id)
        assert where is not None
        check(site, msgspec.structs.replace(where, provider_name=provider))
    return provider, wanted


_UNKNOWN = {"flavor": "Invalid flavor_id.", "availability_zone": "Invalid availability zone."}


def _chosen(conn: Connection, cls: type[E], key: str, share: bool) -> E:
    found = catalogues.get(conn, cls, key, share=share)
    if found is None:
        raise errors.Invalid(reason=_UNKNOWN[cls.kind.name])
    if not found.enabled:
        raise errors.DisabledOption(option=cls.kind.name, value=key)
    return found
