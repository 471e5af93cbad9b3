# SPDX-License-Identifier: Apache-2.0
"""One amphora replaced, by an administrator's wish."""

import httpx
from support.load import who
from support.machine import Machine, eventually
from support.members import Members


def test_failover_of_an_amphora_puts_another_in_its_place(ottava: Machine, members: Members) -> None:
    a = members("a")
    server = {"address": a.address, "protocol_port": a.port}
    pool = {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": [server]}
    made = ottava.create({"listeners": [{"protocol": "HTTP", "protocol_port": 80, "default_pool": pool}]})
    amphorae = f"{ottava.url}/v2/octavia/amphorae"
    with httpx.Client(timeout=30, trust_env=False) as api:

        def those() -> list[str]:
            found = api.get(f"{amphorae}?loadbalancer_id={made['id']}").json()["amphorae"]
            assert all(each["ha_ip"] == made["vip_address"] for each in found)
            return [each["id"] for each in found]

        (old,) = those()
        assert who(made["vip_address"]) == {"a": 1}
        assert api.put(f"{amphorae}/{old}/failover").status_code == 202
        ottava.active(made["id"])
        (new,) = eventually(lambda: [] if old in those() else those())
        assert new != old
        assert who(made["vip_address"], number=5) == {"a": 5}
        stats = eventually(lambda: api.get(f"{amphorae}/{new}/stats").json().get("amphora_stats"))
        assert [each["loadbalancer_id"] for each in stats] == [made["id"]]
        assert api.get(f"{amphorae}/{old}").status_code == 404
    ottava.ask("DELETE", f"loadbalancers/{made['id']}?cascade=true")
    ottava.gone(made["id"])
