# SPDX-License-Identifier: Apache-2.0
"""What administrators put on offer, and every project may choose for its load balancers: flavors and availability zones.

Each points to a profile, which says to its provider, in the provider's own words, what it means.
"""

from typing import Annotated

from ottava.model import scalars
from ottava.model.attribute import Attribute, Create, Kind, Null
from ottava.model.resource import DESCRIPTION, ID, Declared

_NAME = Attribute(scalars.TEXT_255, "A name for people.", create=Create.REQUIRED, update=True, null_create=Null.CLEAR)
_DATA = scalars.string(4096)
_ENABLED = Attribute(
    scalars.BOOLEAN,
    "Whether it may be chosen; load balancers that have it keep it.",
    update=True,
    null_create=Null.REFUSE,
)


class Entry(Declared, kw_only=True):
    """Something on offer, or its profile."""

    @property
    def key(self) -> str:
        """What names it in a URL."""
        return str(getattr(self, self.kind.key))


class Profile(Entry, kw_only=True):
    """What something on offer means to a provider."""

    id: Annotated[str, ID]
    name: Annotated[str | None, _NAME]
    provider_name: Annotated[
        str,
        Attribute(scalars.string(255), "The provider that it is for.", create=Create.REQUIRED, update=True),
    ]


class FlavorProfile(Profile, kw_only=True):
    """What a flavor means to a provider."""

    kind = Kind(
        name="flavorprofile",
        plural="flavorprofiles",
        word="Flavor Profile",
        argument="flavor_profile_",
        policy="flavor-profile",
        links="flavorprofile_links",
    )

    flavor_data: Annotated[
        str,
        Attribute(_DATA, "A JSON object, as text: what the provider is told.", create=Create.REQUIRED, update=True),
    ]


class AvailabilityZoneProfile(Profile, kw_only=True):
    """What an availability zone means to a provider."""

    kind = Kind(
        name="availability_zone_profile",
        plural="availability_zone_profiles",
        word="Availability Zone Profile",
        argument="availability_zone_profile_",
        policy="availability-zone-profile",
        links="availability_zone_profile_links",
    )

    availability_zone_data: Annotated[
        str,
        Attribute(_DATA, "A JSON object, as text: what the provider is told.", create=Create.REQUIRED, update=True),
    ]


class Flavor(Entry, kw_only=True):
    """How a load balancer is carried out."""

    kind = Kind(name="flavor", plural="flavors", word="Flavor", argument="flavor_", policy="flavor")

    id: Annotated[str, ID]
    name: Annotated[
        str,
        Attribute(scalars.string(255, 1), "A name for people; unique.", create=Create.REQUIRED, update=True),
    ]
    description: Annotated[str, DESCRIPTION] = ""
    enabled: Annotated[bool, _ENABLED] = True
    flavor_profile_id: Annotated[
        str, Attribute(scalars.IDENTIFIER, "What it means to which provider.", create=Create.REQUIRED)
    ]


class AvailabilityZone(Entry, kw_only=True):
    """Where a load balancer is carried out."""

    kind = Kind(
        name="availability_zone",
        plural="availability_zones",
        word="Availability Zone",
        argument="availability_zone_",
        policy="availability-zone",
        key="name",
    )

    name: Annotated[
        str,
        Attribute(
            scalars.string(255, 1, r"[^/]*\Z", "Value must not contain a slash"),
            "Its name; unique, and part of its URL.",
            create=Create.REQUIRED,
        ),
    ]
    description: Annotated[str, DESCRIPTION] = ""
    enabled: Annotated[bool, _ENABLED] = True
    availability_zone_profile_id: Annotated[
        str, Attribute(scalars.IDENTIFIER, "What it means to which provider.", create=Create.REQUIRED)
    ]


CATALOGUES: dict[str, type[Entry]] = {
    cls.kind.name: cls for cls in (FlavorProfile, AvailabilityZoneProfile, Flavor, AvailabilityZone)
}
"""Every kind of entry by its name, profiles before what points to them."""

PROFILES: dict[str, type[Profile]] = {
    "flavor_profile_id": FlavorProfile,
    "availability_zone_profile_id": AvailabilityZoneProfile,
}
"""The profiles, by the attribute that points to them."""
