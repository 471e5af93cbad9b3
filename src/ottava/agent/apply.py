# SPDX-License-Identifier: Apache-2.0
"""Make an amphora look as wished, doing the least that leads there. Blocking; one call at a time for an amphora.

The order is what makes a crash harmless: the fence is stored before anything is touched; the files in force are
replaced only when HAProxy has taken them; a removal first takes away the file that says the amphora is wished.
"""

import os
import pathlib

import msgspec

from ottava.agent import blame, changes, links, namespaces
from ottava.agent.amphora import Amphora
from ottava.agent.files import Fence, replace
from ottava.agent.haproxy import align
from ottava.agent.processes import Failed, Refused
from ottava.agent.runtime import Broken
from ottava.crash import crash_point
from ottava.wire.applied import Applied, Outcome
from ottava.wire.desired import Desired, Interface
from ottava.wire.desired import digest as digest_of

_UP = 0x1  # IFF_UP


def apply(amphora: Amphora, wish: Desired) -> Applied:
    """Bring `wish` into force, unless a newer order is known. Never raises for what the host or HAProxy says."""
    fence = (wish.epoch, wish.generation)
    if newer := _newer(amphora, fence):
        return newer
    actions: list[str] = []
    try:
        amphora.files.make()
        _store_fence(amphora, fence)
        crash_point("agent:stored")
        wish = wish if wish.digest else msgspec.structs.replace(wish, digest=digest_of(wish))
        _bring(amphora, wish, actions)
    except Refused as error:
        return _unsuccessful(amphora, wish, Outcome.REFUSED, str(error), actions)
    except (Failed, OSError) as error:
        return _unsuccessful(amphora, wish, Outcome.FAILED, _words(error), actions)
    amphora.fault = ""
    return applied(amphora, Outcome.SERVING, actions=tuple(actions))


def repair(amphora: Amphora) -> list[str]:
    """Bring what is in force back where something took it away; what was done. `amphora.fault` says what could not be."""
    actions: list[str] = []
    if amphora.desired is None:
        return actions
    try:
        amphora.files.make()
        _network(amphora, amphora.desired, actions)
        _process(amphora, amphora.desired, actions)
        _verify(amphora, amphora.desired, actions)
        amphora.fault = ""
    except (Refused, Failed, OSError) as error:
        amphora.fault = _spoken(_words(error), amphora)
    return actions


def adopt(amphora: Amphora, pids: list[int]) -> list[str]:
    """After a start of the agent: take over what runs and repair what does not; what was done."""
    amphora.desired = amphora.files.read_desired()
    amphora.totals.load()
    actions: list[str] = []
    if amphora.desired is None:
        if pids:  # the agent died before the first configuration was in force
            amphora.haproxy.stop()
        return actions
    certain = amphora.haproxy.adopt(pids)
    amphora.leaving = True
    if not certain:
        try:
            _start(amphora, amphora.desired, actions, "it is not certain what runs")
        except (Refused, Failed, OSError) as error:
            amphora.fault = _spoken(_words(error), amphora)
    return actions + repair(amphora)


def remove(amphora: Amphora, fence: Fence) -> Applied:
    """Take the amphora off this host, unless a newer order is known."""
    if newer := _newer(amphora, fence):
        return newer
    actions: list[str] = []
    try:
        if amphora.files.state.exists():
            _store_fence(amphora, fence)
        amphora.fence = fence
        crash_point("agent:removing")
        clear(amphora, actions)
    except OSError as error:
        return _unsuccessful(amphora, None, Outcome.FAILED, _words(error), actions)
    return applied(amphora, Outcome.ABSENT, actions=tuple(actions))


def clear(amphora: Amphora, actions: list[str]) -> None:
    """Stop the proxy, remove namespace, links and files; a tombstone keeps the fence. Raises OSError."""
    amphora.files.desired.unlink(missing_ok=True)
    amphora.desired = None
    amphora.fault = ""
    for conversation in amphora.replaced.values():
        conversation.close()
    amphora.replaced.clear()
    amphora.haproxy.stop()
    crash_point("agent:stopped")
    actions += links.prune_interfaces(amphora.namespace, set())
    if namespaces.delete(amphora.namespace):
        actions.append("removed the namespace")
    crash_point("agent:unlinked")
    amphora.files.remove(amphora.fence)


def state(amphora: Amphora) -> Applied:
    """The amphora as it is found."""
    if amphora.desired is None:
        return applied(amphora, Outcome.ABSENT)
    if not amphora.running:
        return msgspec.structs.replace(
            applied(amphora, Outcome.FAILED, fault=amphora.fault or "HAProxy does not run"), digest=""
        )
    return applied(amphora, Outcome.SERVING, fault=amphora.fault)


def intact(amphora: Amphora) -> bool:
    """Whether process, namespace and links are there, as far as it can be seen at next to no cost."""
    wish = amphora.desired
    return wish is None or (amphora.running and _network_stands(amphora, wish.interfaces))


def purge(amphora: Amphora) -> bool:
    """Delete the servers in maintenance that nobody wishes and that have finished; True while some have not."""
    wish = amphora.desired
    if wish is None or wish.proxy is None:
        return False
    left = False
    with amphora.haproxy.runtime() as runtime:
        for backend, server in changes.leaving(wish.proxy.backends, runtime.servers()):
            if "still has connections" in runtime.say(f"del server {backend}/{server}"):
                left = True
    return left


def applied(
    amphora: Amphora,
    outcome: Outcome,
    *,
    actions: tuple[str, ...] = (),
    fault: str = "",
    culprits: tuple[str, ...] = (),
) -> Applied:
    """The answer, with what is in force now."""
    force = amphora.desired
    return Applied(
        amphora_id=amphora.id,
        outcome=outcome,
        epoch=force.epoch if force else 0,
        generation=force.generation if force else 0,
        digest=force.digest if force else "",
        actions=actions,
        fault=fault,
        culprits=culprits,
    )


def fenced(amphora: Amphora, fence: Fence, newest: Fence) -> Applied:
    """The answer to an order that comes too late."""
    words = "epoch {} generation {} comes too late: epoch {} generation {} is known"
    return applied(amphora, Outcome.FENCED, fault=words.format(*fence, *newest))


# ---- fences ------------------------------------------------------------------------------------------------------


def _newer(amphora: Amphora, fence: Fence) -> Applied | None:
    newest = max(amphora.fence, amphora.offered)
    return fenced(amphora, fence, newest) if fence < newest else None


def _store_fence(amphora: Amphora, fence: Fence) -> None:
    if fence != amphora.fence or not amphora.files.fence.exists():
        amphora.files.write_fence(fence)
        amphora.fence = fence


# ---- the steps ---------------------------------------------------------------------------------------------------


def _bring(amphora: Amphora, wish: Desired, actions: list[str]) -> None:
    """The least that leads from what is in force to `wish`. Raises Refused, Failed, OSError; then nothing changed."""
    before = amphora.desired
    if before is not None and before.digest == wish.digest and intact(amphora):
        if (before.epoch, before.generation) != (wish.epoch, wish.generation):
            replace(amphora.files.desired, msgspec.json.encode(wish))
            amphora.desired = wish
        return
    moved = before is None or before.interfaces != wish.interfaces or not _network_stands(amphora, wish.interfaces)
    try:
        if moved:
            _network(amphora, wish, actions)
        _process(amphora, wish, actions)
    except BaseException:
        if moved and before is not None:
            _network(amphora, before, [])
        raise
    if moved:
        actions += links.prune_interfaces(amphora.namespace, {interface.name for interface in wish.interfaces})


def _network(amphora: Amphora, wish: Desired, actions: list[str]) -> None:
    """Namespace, bridges and interfaces. A namespace that lost its name gets it back, so that traffic never stops."""
    if not namespaces.exists(amphora.namespace) and amphora.haproxy.pid is not None:
        namespaces.adopt(amphora.namespace, amphora.haproxy.pid)
        actions.append("gave the namespace its name back")
    elif namespaces.ensure(amphora.namespace):
        actions.append("made the namespace")
    crash_point("agent:namespace")
    for interface in wish.interfaces:
        done = links.ensure_bridge(interface.bridge)
        if ready := links.ensure_interface(amphora.tag, amphora.namespace, interface):
            links.announce(amphora.namespace, interface)
        actions += done + ready
    crash_point("agent:interfaces")


def _network_stands(amphora: Amphora, interfaces: tuple[Interface, ...]) -> bool:
    if not namespaces.exists(amphora.namespace):
        return False
    for interface in interfaces:
        device = f"/sys/class/net/{links.host_end(amphora.tag, amphora.namespace, interface.name)}"
        try:
            if os.path.basename(os.readlink(f"{device}/master")) != interface.bridge.name:
                return False
            if not int(pathlib.Path(device, "flags").read_text(), 16) & _UP:
                return False
        except OSError:
            return False
    return True


def _process(amphora: Amphora, wish: Desired, actions: list[str]) -> None:
    """HAProxy as wished: nothing, the runtime API, a reload or a start."""
    before = amphora.desired
    if wish.proxy is None:
        if amphora.haproxy.pid is not None:
            amphora.haproxy.stop()
            actions.append("stopped haproxy")
        amphora.haproxy.record(wish)
    elif amphora.haproxy.pid is None:
        _start(amphora, wish, actions, "")
    elif before is None or before.proxy is None:
        _start(amphora, wish, actions, "it was not known what runs")
    elif before is not wish:
        _change(amphora, before, wish, actions)
    amphora.desired = wish


def _change(amphora: Amphora, before: Desired, wish: Desired, actions: list[str]) -> None:
    try:
        actions += amphora.haproxy.change(before, wish)
        amphora.leaving = True
        return
    except (changes.Impossible, Broken) as error:
        reason = str(error)
    try:
        _start(amphora, wish, actions, reason)
    except BaseException:
        _servers_back(amphora, wish, before)
        raise


def _start(amphora: Amphora, wish: Desired, actions: list[str], reason: str) -> None:
    reload = amphora.haproxy.pid is not None
    amphora.haproxy.start(wish, amphora.replaced.__setitem__)
    actions.append(f"reloaded haproxy: {reason}" if reload else "started haproxy")


def _servers_back(amphora: Amphora, wish: Desired, before: Desired) -> None:
    """Some of the wished servers may be in force already: the last good ones serve on."""
    try:
        with amphora.haproxy.runtime() as runtime:
            align(runtime, wish, before)
    except (Broken, changes.Impossible):
        amphora.fault = "the servers may differ from the configuration in force"


def _verify(amphora: Amphora, wish: Desired, actions: list[str]) -> None:
    """The configuration on disk and the servers that run are those in force. Raises Refused, Failed, OSError."""
    if wish.proxy is None or amphora.haproxy.pid is None:
        return
    text = amphora.files.text(wish)
    if not amphora.files.config.exists() or amphora.files.config.read_bytes() != text:
        replace(amphora.files.config, text)
        actions.append("wrote the configuration anew")
    try:
        with amphora.haproxy.runtime() as runtime:
            actions += align(runtime, wish, wish)
    except (changes.Impossible, Broken) as error:
        _start(amphora, wish, actions, str(error))


# ---- words -------------------------------------------------------------------------------------------------------


def _unsuccessful(amphora: Amphora, wish: Desired | None, outcome: Outcome, words: str, actions: list[str]) -> Applied:
    owners = wish.proxy.owners if wish and wish.proxy and outcome is Outcome.REFUSED else ()
    return applied(
        amphora,
        outcome,
        actions=tuple(actions),
        fault=_spoken(words, amphora),
        culprits=blame.culprits(words, owners),
    )


def _spoken(words: str, amphora: Amphora) -> str:
    """HAProxy's alerts only, and without the directories of this host."""
    text = "; ".join(blame.alerts(words))
    return text.replace(f"{amphora.files.state}/", "").replace("haproxy.cfg.next", "haproxy.cfg")


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)
