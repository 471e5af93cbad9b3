# SPDX-License-Identifier: Apache-2.0
"""Sweeping takes everything of a tag and nothing else; namespaces come, are listed, and go."""

import os
import subprocess

import pytest

from ottava.agent import links, namespaces, processes, teardown


@pytest.fixture
def foreign(stage, ip, tmp_path):
    """Things that look a little like ours: a namespace with a process, a bridge, a veth, an HAProxy of another run."""
    name, run = f"{stage.tag}x-foreign", tmp_path / "runs"
    run.mkdir()
    ip("netns", "add", name)
    process = subprocess.Popen(["ip", "netns", "exec", name, "sleep", "600"])
    bridge = f"{stage.tag}x-b00000001"[:15]
    ip("link", "add", bridge, "type", "bridge")
    ip("link", "add", f"{stage.tag}-user0", "type", "bridge")
    config = run / "foreign.cfg"
    config.write_text(f"global\n stats socket {run}/s.sock\n httpclient.ssl.verify none\n")
    pid = processes.start_haproxy(name, "haproxy", config, run / "foreign.pid")
    yield name, bridge, process, pid
    processes.stop(pid, 0)
    process.kill()
    process.wait()
    ip("link", "del", bridge)
    ip("link", "del", f"{stage.tag}-user0")
    ip("netns", "del", name)


def test_everything_of_the_tag_goes_and_nothing_else(stage, foreign, ip):
    name, bridge, process, foreign_pid = foreign
    amphora, pid = stage.serve("one")
    _orphan, orphan_pid = stage.serve("two", last=6, bridge=stage.bridge(2))
    ip("netns", "del", f"{stage.tag}-two")
    command = ["ip", "netns", "exec", amphora.namespace, "sleep", "600"]
    web = subprocess.Popen(command, env=processes.ENVIRONMENT)
    someones = subprocess.Popen(command)
    gone = [processes.wait_exit(each) for each in (pid, orphan_pid)]
    try:
        done = teardown.sweep(stage.tag, stage.run)
        assert done
        assert web.wait(10) is not None
        assert someones.poll() is None
        for pidfd in gone:
            os.set_blocking(pidfd, False)
            assert processes._ended(pidfd, 0)
    finally:
        someones.kill()
        someones.wait()
        for pidfd in gone:
            os.close(pidfd)
    assert namespaces.names(f"{stage.tag}-") == []
    left = {link.name for link in links.netlink.here().links()}
    assert not any(links.is_ours(stage.tag, each) for each in left)
    assert processes.everything(stage.run) == {}
    assert teardown.sweep(stage.tag, stage.run) == []
    assert namespaces.exists(name)
    assert {bridge, f"{stage.tag}-user0"} <= left
    assert process.poll() is None
    assert processes._starts(foreign_pid)


def test_a_namespace_comes_is_listed_and_goes(stage, ip):
    name = f"{stage.tag}-plain"
    assert namespaces.ensure(name) is True
    assert namespaces.ensure(name) is False
    assert namespaces.names(f"{stage.tag}-") == [name]
    assert name in ip("netns", "list")
    assert "lo" in namespaces.run(name, ["ip", "-o", "link"], timeout=10).stdout
    assert namespaces.delete(name) is True
    assert namespaces.delete(name) is False
    assert not namespaces.exists(name)
    assert name not in ip("netns", "list")


def test_a_leftover_file_is_no_namespace_and_is_replaced(stage):
    name = f"{stage.tag}-left"
    (namespaces.DIRECTORY / name).touch()
    assert not namespaces.exists(name)
    assert namespaces.names(f"{stage.tag}-") == [name]
    with pytest.raises(FileNotFoundError), namespaces.inside(name):
        pass
    assert namespaces.ensure(name) is True
    assert namespaces.exists(name)


@pytest.mark.parametrize("name", ["", ".", "..", "../etc/passwd", "a/b"])
def test_a_name_is_no_path(name):
    with pytest.raises(ValueError, match="no name"):
        namespaces.ensure(name)
