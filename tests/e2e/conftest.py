# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of clients."""

from collections.abc import Iterator
from typing import Any

import pytest
from support import cloud as clouds
from support.cloud import Cloud
from support.keystone import Keystone


@pytest.fixture(scope="session")
def shared_cloud(keystone: Keystone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud for all tests of this process."""
    with clouds.cloud(keystone, tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture
def cloud(shared_cloud: Cloud) -> Iterator[Cloud]:
    """A cloud in which nothing is yet."""
    yield shared_cloud
    shared_cloud.clear()


@pytest.fixture
def balancer(cloud: Cloud) -> dict[str, Any]:
    """A load balancer."""
    return cloud.post("loadbalancers", name="balancer", vip_subnet_id=cloud.subnet_id)
