# SPDX-License-Identifier: Apache-2.0
"""Run by the Python of `.venv-keystone`: makes the tables, the first user and the catalog of a Keystone, and serves it.

    keystone_server.py DESCRIPTOR PASSWORD --config-file FILE

DESCRIPTOR is that of a socket that listens on the host and port of the file's public_endpoint.
"""

import sys
import warnings

warnings.simplefilter("ignore")

import keystone.server  # noqa: E402
from keystone.cmd import bootstrap  # noqa: E402
from keystone.common.sql import upgrades  # noqa: E402
from keystone.conf import CONF  # noqa: E402
from keystone.server.flask import application, core  # noqa: E402
from werkzeug import serving  # noqa: E402


class Quiet(serving.WSGIRequestHandler):
    """Keystone logs its requests itself."""

    def log(self, *_: object) -> None:
        """Nothing."""


def main() -> None:
    """Serve until killed."""
    descriptor, password = int(sys.argv.pop(1)), sys.argv.pop(1)
    keystone.server.configure()
    upgrades.offline_sync_database_to_version()
    first = bootstrap.Bootstrapper()
    first.admin_username = first.project_name = first.admin_role_name = "admin"
    first.admin_password = password
    first.service_name, first.service_id, first.region_id = "keystone", None, "RegionOne"
    first.public_url = first.internal_url = f"{CONF.public_endpoint}/v3"
    first.bootstrap()
    app = core.setup_app_middleware(application.application_factory("public"))
    serving.make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet, fd=descriptor).serve_forever()


if __name__ == "__main__":
    main()
