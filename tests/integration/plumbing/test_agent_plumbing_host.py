# SPDX-License-Identifier: Apache-2.0
"""What a host says of itself."""

import os
import subprocess

import pytest

from ottava.agent import host, namespaces


def test_the_facts_are_those_of_this_host():
    facts = host.facts("haproxy")
    said = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout
    assert ".".join(str(part) for part in facts.haproxy) in said
    assert len(facts.haproxy) >= 2
    assert facts.cpus == len(os.sched_getaffinity(0))
    assert facts.nofile >= 1024


@pytest.mark.parametrize("binary", ["/nonexistent/haproxy", "true", "/"])
def test_without_haproxy_there_is_no_version(binary):
    assert host.haproxy_version(binary) == ()


def test_a_firewall_that_drops_what_is_bridged_is_told(stage):
    name = f"{stage.tag}-wall"
    namespaces.ensure(name)
    with namespaces.inside(name):
        assert host.obstacles() == []
        subprocess.run(["nft", "add table inet wall"], check=True)
        subprocess.run(
            ["nft", "add chain inet wall f { type filter hook forward priority 0; policy drop; }"], check=True
        )
        told = any("bridge-nf-call-iptables=0" in each for each in host.obstacles())
        assert told == os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables")
