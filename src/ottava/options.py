# SPDX-License-Identifier: Apache-2.0
"""Every option that an operator may set, with its default, and how the configuration is read."""

import os
from collections.abc import Mapping, Sequence

from oslo_config import cfg, types

from ottava import logs
from ottava.rules.deployment import CIPHERS, TLS_VERSIONS

DEFAULT_FILE = "/etc/ottava/ottava.conf"

_TLS_VERSION = types.String(choices=TLS_VERSIONS)

_GENERAL = [
    cfg.StrOpt("state_dir", default="/var/lib/ottava", help="Where Ottava keeps what must survive a restart."),
    cfg.StrOpt("run_dir", default="/run/ottava", help="Where Ottava keeps sockets, process ids and hints."),
    cfg.IntOpt("events_kept", default=200, min=0, help="Events kept of each load balancer: the newest; 0: none."),
]

_DATABASE = [
    cfg.StrOpt(
        "connection",
        default="sqlite:///$state_dir/ottava.sqlite",
        secret=True,
        help="SQLAlchemy URL of the database.",
    ),
    cfg.IntOpt("max_pool_size", default=10, min=1, help="Connections that each process keeps open for use."),
    cfg.IntOpt("max_overflow", default=20, min=0, help="Most connections beyond those, closed after use."),
    cfg.IntOpt("pool_timeout", default=10, min=0, help="Seconds to wait for a free connection before answering 503."),
    cfg.IntOpt(
        "connection_recycle_time",
        default=3600,
        min=-1,
        help="Seconds after which a connection is replaced when next used; must be less than the database or a "
        "firewall keeps idle ones. -1: never.",
    ),
]

_API = [
    cfg.StrOpt("bind_host", default="127.0.0.1", help="Address that the API listens on."),
    cfg.PortOpt("bind_port", default=9876, help="Port that the API listens on."),
    cfg.IntOpt("workers", default=1, min=1, help="Worker processes of the API."),
    cfg.StrOpt(
        "auth_strategy",
        default="noauth",
        choices=[
            ("noauth", "Everybody is the administrator; on loopback only."),
            ("http_basic", "Users, bcrypt hashes, projects and roles come from http_basic_auth_user_file."),
            ("keystone", "Tokens of Keystone, judged as group keystone_authtoken says."),
        ],
        help="Who may do what.",
    ),
    cfg.BoolOpt(
        "noauth_anywhere",
        default=False,
        help="Take auth_strategy noauth on an address that is not loopback: whoever reaches it is the administrator.",
    ),
    cfg.StrOpt(
        "http_basic_auth_user_file",
        default="$state_dir/users",
        help="File of users for http_basic: a line each, 'name:bcrypt hash:project id:role,role'.",
    ),
    cfg.StrOpt(
        "pagination_max_limit",
        default="1000",
        regex=r"\A(infinite|-?[0-9]+)\Z",
        help="Most objects in one answer; 'infinite', or a number below 1: any number.",
    ),
    cfg.BoolOpt("allow_pagination", default=True, help="Obey limit and marker."),
    cfg.BoolOpt("allow_sorting", default=True, help="Obey sort."),
    cfg.BoolOpt("allow_filtering", default=True, help="Obey filters."),
    cfg.BoolOpt("allow_field_selection", default=True, help="Obey fields."),
    cfg.BoolOpt("healthcheck_enabled", default=False, help="Answer GET /healthcheck, without authentication."),
    cfg.BoolOpt("access_log", default=False, help="Log a line for each request."),
    cfg.FloatOpt(
        "rate_limit",
        default=0,
        min=0,
        help="Requests a second that one worker takes of one project, 429 beyond; 0: any number.",
    ),
    cfg.IntOpt("rate_limit_burst", default=100, min=1, help="Requests that may come at once before rate_limit counts."),
    cfg.StrOpt("base_uri", default="", help="How clients reach the API, for links; empty: as the request says."),
    cfg.DictOpt(
        "enabled_provider_drivers",
        default={
            "ottava": "HAProxy in network namespaces.",
            "octavia": "Another name of the provider ottava for existing clients.",
            "amphora": "Another name of the provider ottava for existing clients.",
        },
        help="Providers that load balancers may have: NAME:DESCRIPTION, separated by commas. amphorav2 is another name "
        "of ottava too; noop_driver does nothing and says that it is done.",
    ),
    cfg.StrOpt("default_provider_driver", default="ottava", help="Provider of a load balancer that names none."),
    cfg.BoolOpt("allow_tls_terminated_listeners", default=True, help="Take listeners that terminate TLS."),
    cfg.BoolOpt("allow_prometheus_listeners", default=True, help="Take listeners that serve figures to Prometheus."),
    cfg.BoolOpt("allow_ping_health_monitors", default=True, help="Take health monitors of type PING."),
    cfg.IntOpt(
        "udp_connect_min_interval_health_monitor",
        default=3,
        help="Least seconds between two checks of UDP-CONNECT health monitors; negative: any.",
    ),
    cfg.StrOpt(
        "default_listener_ciphers",
        default=":".join(CIPHERS),
        help="Ciphers of listeners that terminate TLS and name none, by their OpenSSL names.",
    ),
    cfg.StrOpt(
        "default_pool_ciphers",
        default=":".join(CIPHERS),
        help="Ciphers of pools that speak TLS to members and name none, by their OpenSSL names.",
    ),
    cfg.ListOpt(
        "tls_cipher_prohibit_list", default=[], help="Ciphers that nobody may ask for, by their OpenSSL names."
    ),
    cfg.ListOpt(
        "default_listener_tls_versions",
        default=["TLSv1.2", "TLSv1.3"],
        item_type=_TLS_VERSION,
        help="Versions of TLS of listeners that name none.",
    ),
    cfg.ListOpt(
        "default_pool_tls_versions",
        default=["TLSv1.2", "TLSv1.3"],
        item_type=_TLS_VERSION,
        help="Versions of TLS of pools that name none.",
    ),
    cfg.StrOpt(
        "minimum_tls_version",
        default="",
        choices=["", *TLS_VERSIONS],
        help="Oldest version of TLS that may be asked for, any if empty; defaults older than that are left out.",
    ),
    cfg.ListOpt(
        "default_listener_alpn_protocols",
        default=["h2", "http/1.1", "http/1.0"],
        help="Protocols offered inside TLS by listeners that name none.",
    ),
    cfg.ListOpt(
        "default_pool_alpn_protocols",
        default=["h2", "http/1.1", "http/1.0"],
        help="Protocols offered inside TLS by pools that name none.",
    ),
    cfg.BoolOpt(
        "noop",
        default=False,
        help="Every provider, by whatever name, is noop_driver: for tests of clients (ottava up --noop).",
    ),
    cfg.BoolOpt(
        "immutable_while_pending",
        default=False,
        help="Refuse changes (409) while an earlier one is being applied, as Octavia does.",
    ),
]

_BODY = [
    cfg.IntOpt("max_request_body_size", default=114688, min=1, help="Largest body of a request, in bytes."),
]

_AUDIT = [
    cfg.BoolOpt("enabled", default=False, help="Tell of each request in CADF, by keystonemiddleware's audit filter."),
    cfg.StrOpt(
        "audit_map_file",
        default="/etc/ottava/audit_map.conf",
        help="What requests are called there: etc/audit_map.conf.",
    ),
    cfg.StrOpt("ignore_req_list", default="", help="Methods that are not told of, separated by commas: GET,HEAD."),
]

_QUOTAS = [
    cfg.IntOpt(f"default_{kind}_quota", default=-1, min=-1, help=f"Most {words} a project may have; -1: any number.")
    for kind, words in (
        ("loadbalancer", "load balancers"),
        ("listener", "listeners"),
        ("member", "members"),
        ("pool", "pools"),
        ("healthmonitor", "health monitors"),
        ("l7policy", "L7 policies"),
        ("l7rule", "L7 rules of one policy"),
    )
]

_CONTROLLER = [
    cfg.IntOpt("workers", default=4, min=1, help="Load balancers that one controller works on at a time."),
    cfg.FloatOpt("lease", default=30.0, min=1, help="Seconds for which a worker holds a load balancer."),
    cfg.FloatOpt("sweep", default=1.0, min=0.05, help="Seconds between looks for due work when no hint comes."),
    cfg.FloatOpt("retry_base", default=0.5, min=0.01, help="Seconds before the first new attempt after a failure."),
    cfg.FloatOpt("retry_cap", default=60.0, min=0.01, help="Most seconds between two attempts."),
    cfg.FloatOpt("error_after", default=30.0, min=0, help="Seconds of failing after which the status is ERROR."),
    cfg.FloatOpt("resync", default=60.0, min=1, help="Seconds after which a load balancer at rest is looked at again."),
    cfg.FloatOpt(
        "orphan_grace",
        default=60.0,
        min=1,
        help="Seconds for which an amphora or an address that belongs to no load balancer is left alone. A load balancer "
        "that takes longer than half of that to be written after its address was taken is not created.",
    ),
]

_AGENT = [
    cfg.StrOpt("host_name", default="", help="Name of this host; empty: its hostname."),
    cfg.StrOpt("bind_host", default="127.0.0.1", help="Address that the agent listens on."),
    cfg.PortOpt("bind_port", default=9443, help="Port that the agent listens on."),
    cfg.StrOpt("url", default="", help="How the controller reaches the agent; empty: by bind_host and bind_port."),
    cfg.StrOpt("health_url", default="", help="Where heartbeats go; empty: by the options of group health."),
    cfg.StrOpt(
        "tag",
        default="ot",
        regex=r"\A[a-z][a-z0-9]{1,3}\Z",
        help="Start of the names of all that Ottava makes on a host; two Ottavas on one host need two tags.",
    ),
    cfg.FloatOpt("heartbeat_interval", default=10.0, min=0.1, help="Seconds between two full heartbeats."),
    cfg.StrOpt("haproxy", default="haproxy", help="The HAProxy program: a name on the PATH, or a path."),
]

_HEALTH = [
    cfg.StrOpt("bind_host", default="127.0.0.1", help="Address that takes heartbeats."),
    cfg.PortOpt("bind_port", default=9555, help="Port that takes heartbeats."),
    cfg.FloatOpt("host_timeout", default=60.0, min=1, help="Seconds without a heartbeat after which a host is dead."),
    cfg.FloatOpt(
        "brake",
        default=0.5,
        min=0,
        max=1,
        help="Largest share of hosts that may be dead at once and still be replaced; beyond it people must look.",
    ),
]

_NETWORK = [
    cfg.StrOpt(
        "driver",
        default="local",
        choices=[
            ("local", "The networks of group local_network, on the hosts themselves."),
            ("noop", "Every network, subnet and port is taken to exist, and nothing is done: for tests of clients."),
        ],
        help="Where networks and ports come from.",
    ),
    cfg.BoolOpt("allow_vip_port_id", default=True, help="Take vip_port_id."),
    cfg.BoolOpt("allow_vip_network_id", default=True, help="Take vip_network_id."),
    cfg.BoolOpt("allow_vip_subnet_id", default=True, help="Take vip_subnet_id."),
    cfg.ListOpt("valid_vip_networks", default=[], help="Ids of the networks for virtual IPs; empty: any."),
    cfg.ListOpt("denylist_vip_networks", default=[], help="Ids of networks that virtual IPs may not be in."),
    cfg.ListOpt("reserved_ips", default=["169.254.169.254"], help="Addresses that no member may have."),
]

_LOCAL_NETWORK = [
    cfg.MultiStrOpt(
        "network",
        default=["lan 198.18.0.0/24 fd00:0:0:77::/64"],
        help="A network on this host: NAME CIDR [CIDR ...]. May stand more than once.",
    ),
]

_GROUPS: Mapping[str, Sequence[cfg.Opt]] = {
    "DEFAULT": _GENERAL,
    "database": _DATABASE,
    "api": _API,
    "oslo_middleware": _BODY,
    "audit": _AUDIT,
    "quotas": _QUOTAS,
    "controller": _CONTROLLER,
    "agent": _AGENT,
    "health": _HEALTH,
    "network": _NETWORK,
    "local_network": _LOCAL_NETWORK,
}


class BadConfiguration(Exception):
    """The configuration cannot be used; the message says why, for people."""


def list_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    """(group, its options), for the generated reference."""
    return list(_GROUPS.items())


def register(conf: cfg.ConfigOpts) -> None:
    """Make every option of Ottava known to `conf`; doing it twice is harmless."""
    for group, opts in _GROUPS.items():
        conf.register_opts(opts, group=None if group == "DEFAULT" else group)


def load(
    config_files: Sequence[str] = (),
    config_dirs: Sequence[str] = (),
    overrides: Mapping[tuple[str, str], object] | None = None,
) -> cfg.ConfigOpts:
    """Read the configuration.

    config_files  read in order, later ones win; none given: /etc/ottava/ottava.conf, if there is one
    config_dirs   their *.conf files are read after
    overrides     {(group, name): value}, above all files; the group of plain options is "DEFAULT"

    Raises BadConfiguration.
    """
    files = list(config_files)
    if not files and not config_dirs and os.path.exists(DEFAULT_FILE):
        files = [DEFAULT_FILE]
    conf = cfg.ConfigOpts()
    try:
        register(conf)
        logs.register(conf)
        conf([], project="ottava", default_config_files=files, default_config_dirs=list(config_dirs))
        for (group, name), value in (overrides or {}).items():
            conf.set_override(name, value, group=None if group == "DEFAULT" else group)
        for group, opts in _GROUPS.items():
            for opt in opts:
                _read(conf, group, opt.dest)
    except (cfg.Error, ValueError) as error:
        raise BadConfiguration(str(error).strip()) from error
    return conf


def _read(conf: cfg.ConfigOpts, group: str, name: str) -> object:
    return conf[name] if group == "DEFAULT" else conf[group][name]
