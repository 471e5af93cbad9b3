# SPDX-License-Identifier: Apache-2.0
"""One load balancer with one object of each kind below it."""

from typing import Any


class World:
    """A tree to ask for: `ids` by the names of path parameters, and of the project and the provider."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.ids: dict[str, str] = {}
        self.renew()

    def renew(self) -> None:
        """Another tree, after something of this one was deleted."""
        made = self.api.make(
            "loadbalancers",
            listeners=[{"protocol": "HTTP", "protocol_port": 80, "l7policies": [
                {"action": "REJECT", "rules": [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}]}]}],
            pools=[{"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": [{"address": "198.18.0.1", "protocol_port": 80}],
                    "healthmonitor": {"type": "HTTP", "delay": 5, "timeout": 2, "max_retries": 3}}],
        )  # fmt: skip
        (listener,), (pool,) = made["listeners"], made["pools"]
        (policy,) = listener["l7policies"]
        self.ids |= {
            "loadbalancer_id": made["id"], "listener_id": listener["id"], "pool_id": pool["id"],
            "member_id": pool["members"][0]["id"], "healthmonitor_id": pool["healthmonitor"]["id"],
            "l7policy_id": policy["id"], "l7rule_id": policy["rules"][0]["id"], "project_id": made["project_id"],
            "provider": made["provider"],
        }  # fmt: skip
        self._renew_offers()

    def _renew_offers(self) -> None:
        """A flavor and an availability zone with their profiles."""
        name = self.ids["loadbalancer_id"]
        for what in ("flavor", "availability_zone"):
            profile = {"name": name, "provider_name": self.ids["provider"], f"{what}_data": "{}"}
            key = "flavorprofile" if what == "flavor" else "availability_zone_profile"
            made = self._made(f"{what.replace('_', '')}profiles", key, profile)
            self.ids[f"{what}_profile_id"] = made["id"]
            offer = self._made(f"{what.replace('_', '')}s", what, {"name": name, f"{what}_profile_id": made["id"]})
            self.ids[f"{what}_id"] = offer.get("id") or offer["name"]

    def _made(self, path: str, key: str, values: dict[str, str]) -> dict[str, str]:
        result = self.api("POST", path, {key: values})
        assert result.status_code == 201, result.text
        return dict(result.json[key])
