# SPDX-License-Identifier: Apache-2.0
"""Writes the generated documents and samples; with --check says which differ from the code, and ends with 1."""

import functools
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import falcon.testing
import reference
import sqlalchemy
from oslo_config import cfg
from oslo_config import generator as config_generator
from oslo_policy import generator as policy_generator
from oslo_policy import policy

from ottava import options, policies
from ottava.api.app import create_app
from ottava.cloud.network.memory import memory_network
from ottava.store.wakeup import Wakeup

ROOT = Path(__file__).parent.parent
SAMPLED = (
    *("ottava", "oslo.log", "oslo.policy", "keystonemiddleware.auth_token", "keystonemiddleware.audit"),
    *("oslo.middleware.cors", "oslo.middleware.healthcheck", "oslo.middleware.http_proxy_to_wsgi"),
)
"""Whose options the sample of the configuration holds: the namespaces of oslo-config-generator."""
MADE = "<!-- Made by `make docs` from the code; do not edit. -->\n\n"


def option_reference() -> str:
    """Every option with its default."""
    return MADE + "# Options\n\n" + _INTRODUCTION + "".join(_group(group, opts) for group, opts in options.list_opts())


_INTRODUCTION = """Read from `/etc/ottava/ottava.conf`, or from the files that `--config-file` and `--config-dir` name.
Every option has a default that works. Logging has the options of
[oslo.log](https://docs.openstack.org/oslo.log/latest/configuration/) (`debug`, `log_file`, ...). The groups of other
libraries (`keystone_authtoken`, `audit_middleware_notifications`, `cors`, `healthcheck`, `oslo_policy`) stand in
`etc/ottava.conf.sample`; what they are for, in [Ottava behind Keystone](operator/keystone.md).

"""


def _group(group: str, opts: object) -> str:
    rows = "".join(_option(opt) for opt in opts)  # type: ignore[attr-defined]
    return f"## [{group}]\n\n| option | default | what it is for |\n|---|---|---|\n{rows}\n"


def _option(opt: cfg.Opt) -> str:
    default = "" if opt.default in (None, "") else f"`{opt.default}`"
    if isinstance(opt.default, list):
        default = "<br>".join(f"`{each}`" for each in opt.default)
    if isinstance(opt.default, dict):
        default = "<br>".join(f"`{name}:{value}`" for name, value in opt.default.items())
    words = str(opt.help)
    choices = getattr(opt.type, "choices", None)
    if choices:
        words += " " + " ".join(f"`{choice}`: {meaning}" for choice, meaning in dict(choices).items())
    return f"| `{opt.name}` | {default} | {words} |\n"


def policy_reference() -> str:
    """Every rule with its default."""
    rows = "".join(_rule(rule) for rule in policies.list_rules())
    return MADE + "# Policy\n\n| rule | default | what it is for |\n|---|---|---|\n" + rows


def _rule(rule: policy.RuleDefault) -> str:
    operations = [
        f"`{operation['method']} {operation['path']}`" for operation in getattr(rule, "operations", None) or []
    ]
    words = " ".join(filter(None, [(rule.description or "").strip().replace("\n", " "), *operations]))
    return f"| `{rule.name}` | `{rule.check_str}` | {words} |\n"


def api_reference() -> str:
    """Everything that can be asked, and every attribute."""
    return MADE + reference.api_reference(served())


def openapi_document() -> str:
    """OpenAPI, indented for people and diffs."""
    return json.dumps(served(), indent=1, sort_keys=True) + "\n"


@functools.cache
def served() -> dict[str, Any]:
    """The OpenAPI document of an API with the default options."""
    engine = sqlalchemy.create_engine("sqlite://")
    app = create_app(options.load([os.devnull]), engine, memory_network(), Wakeup(os.devnull))
    return dict(falcon.testing.TestClient(app).simulate_get("/openapi.json").json)


def option_sample() -> str:
    """Every option at its default, commented out: as `oslo-config-generator` writes it."""
    conf = cfg.ConfigOpts()
    config_generator.register_cli_opts(conf)
    conf([f"--namespace={name}" for name in SAMPLED])
    written = io.StringIO()
    config_generator.generate(conf, written)
    return written.getvalue()


def policy_sample() -> str:
    """Every rule at its default, commented out: as `oslopolicy-sample-generator` writes it."""
    with tempfile.NamedTemporaryFile("r") as written:
        policy_generator.generate_sample(["--namespace=ottava", f"--output-file={written.name}"], cfg.ConfigOpts())
        return written.read()


DOCUMENTS: dict[str, Callable[[], str]] = {
    "docs/options.md": option_reference,
    "docs/policy.md": policy_reference,
    "docs/api.md": api_reference,
    "docs/openapi.json": openapi_document,
    "etc/ottava.conf.sample": option_sample,
    "etc/policy.yaml.sample": policy_sample,
}


def main() -> int:
    """Write or check them all."""
    stale = []
    for name, make in DOCUMENTS.items():
        path, text = ROOT / name, make()
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(text)
            print(f"wrote {name}")
    if "--check" in sys.argv and stale:
        print(f"out of date, run `make docs`: {', '.join(stale)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
