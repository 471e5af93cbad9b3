# SPDX-License-Identifier: Apache-2.0
"""The providers that an operator enables, and what they say they can do."""

import pytest

from ottava.model import errors
from ottava.provider.native import Native
from ottava.provider.noop import Noop
from ottava.provider.registry import BadProviders, Providers


def test_only_enabled_names_are_found_and_each_provider_knows_its_own() -> None:
    providers = Providers({"amphora": "one", "noop_driver": "two"}, "amphora")
    assert (providers.get("amphora").name, providers.get("amphora").carries_out) == ("amphora", True)
    assert not providers.get("noop_driver").carries_out
    with pytest.raises(errors.ProviderNotEnabled):
        providers.get("ottava")


def test_a_name_that_is_not_known_is_left_out() -> None:
    providers = Providers({"ottava": "ours", "bogus": "nobody's"}, "ottava")
    assert list(providers.listed) == ["ottava"]
    with pytest.raises(errors.ProviderNotEnabled):
        providers.get("bogus")


def test_the_default_must_be_enabled() -> None:
    with pytest.raises(BadProviders, match="amphora"):
        Providers({"ottava": "ours"}, "amphora")


@pytest.mark.parametrize(
    "data", [{"loadbalancer_topology": "ACTIVE_STANDBY"}, {"bogus": 1}, {"loadbalancer_topology": 1}]
)
def test_the_native_provider_promises_nothing_that_it_cannot_do(data: dict[str, object]) -> None:
    with pytest.raises(errors.Unsupported):
        Native("ottava").check_flavor(data)
    with pytest.raises(errors.Unsupported):
        Native("ottava").check_availability_zone(data)
    Noop("noop_driver").check_flavor(data)


def test_the_native_provider_takes_what_it_can_do() -> None:
    Native("ottava").check_flavor({"loadbalancer_topology": "SINGLE"})
    Native("ottava").check_flavor({})
    Native("ottava").check_availability_zone({})
