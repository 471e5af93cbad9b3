# SPDX-License-Identifier: Apache-2.0
"""A create that hangs after its port was made: the controller may have taken the port for an orphan by then."""

import time
from pathlib import Path
from typing import Any

from ottava.api.app import create_app
from ottava.cloud.network.base import Vip
from ottava.cloud.network.local import LocalNetwork

from .conftest import NETWORKS, Api


class Hanging(LocalNetwork):
    """Makes ports, and takes its time to say so."""

    seconds = 0.0

    def create_port(self, *words: Any, **more: Any) -> Vip:
        made = super().create_port(*words, **more)
        time.sleep(self.seconds)
        return made


def test_a_create_that_hangs_too_long_leaves_nothing(tmp_path: Path) -> None:
    api = Api(tmp_path, "[controller]\norphan_grace = 1\n")
    network = Hanging(NETWORKS, api.book)
    api.client.app = create_app(api.conf, api.engine, network, api.wakeup)
    wish = {"loadbalancer": {"vip_subnet_id": api.subnet_id}}
    network.seconds = 0.6
    assert api("POST", "loadbalancers", wish).status_code == 503
    assert api("GET", "loadbalancers").json["loadbalancers"] == []
    assert api.book.ownerless() == []
    network.seconds = 0.0
    made = api("POST", "loadbalancers", wish).json["loadbalancer"]
    assert [each.address for each in api.book.owned_by(made["id"])] == [made["vip_address"]]
