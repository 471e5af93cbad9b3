# SPDX-License-Identifier: Apache-2.0
"""What the agent must be told to start."""

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's options, resolved.

    host                name of this host; the certificate's SAN URI is `ottava:agent:<host>`
    bind_host           address the agent's API listens on
    bind_port           its TCP port
    advertised_url      how the controller reaches it, "" to tell by bind_host and bind_port
    tag                 2 to 4 characters [a-z][a-z0-9]* that begin the name of everything made here
    state_dir           directory for what must survive a restart of the host
    run_dir             directory for sockets and process ids; keep it short, socket paths end at 107 bytes
    haproxy             binary, a name on PATH or a path
    heartbeat_interval  seconds between full heartbeats until the receiver asks for another pace
    health_url          base URL of the health receiver, "" for none
    certificate         PEM file with the agent's certificate (and its chain)
    key                 PEM file with its private key
    ca                  PEM file with the authorities it trusts
    """

    host: str
    bind_host: str = "127.0.0.1"
    bind_port: int = 9443
    advertised_url: str = ""
    tag: str = "ot"
    state_dir: str = "/var/lib/ottava"
    run_dir: str = "/run/ottava"
    haproxy: str = "haproxy"
    heartbeat_interval: float = 10.0
    health_url: str = ""
    certificate: str
    key: str
    ca: str

    @property
    def url(self) -> str:
        """Where the agent answers."""
        if self.advertised_url:
            return self.advertised_url
        host = f"[{self.bind_host}]" if ":" in self.bind_host else self.bind_host
        return f"https://{host}:{self.bind_port}"
