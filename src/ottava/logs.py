# SPDX-License-Identifier: Apache-2.0
"""How the processes log: through oslo.log, so that operators find the options they know; to stderr by default."""

import logging
from contextvars import ContextVar

from oslo_config import cfg
from oslo_log import log as oslo_log

_NOTHING = "no %(error_summary)s"
"""An empty field, named so that oslo.log believes the format has the exception that is being handled, and does not
append it: our messages say all themselves."""

FORMAT = f"%(asctime)s %(levelname)s %(program)s: %(request)s%(message)s%({_NOTHING})s"

request: ContextVar[str] = ContextVar("request", default="")
"""The ids of the request that is being answered, if one is."""

# Libraries that tell more than people want to read, below this level.
_QUIET = {"httpx": "WARNING", "httpcore": "WARNING", "uvicorn": "WARNING", "granian": "WARNING", "alembic": "WARNING"}


class _Program(logging.Filter):
    """Puts the name of the process on every line."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def filter(self, record: logging.LogRecord) -> bool:
        record.program = self._program
        asked = request.get()
        record.request = f"[{asked}] " if asked else ""
        record.__dict__[_NOTHING] = ""
        return True


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options of oslo.log known to `conf`."""
    oslo_log.register_options(conf)
    conf.set_default("logging_default_format_string", FORMAT)
    conf.set_default("logging_context_format_string", FORMAT)
    conf.set_default("logging_exception_prefix", "")
    conf.set_default("use_stderr", True)
    conf.set_default("default_log_levels", [f"{name}={level}" for name, level in _QUIET.items()])


def setup(conf: cfg.ConfigOpts, program: str) -> None:
    """Log as `conf` says, every line under the name of `program`."""
    oslo_log.setup(conf, "ottava")
    for handler in logging.getLogger().handlers:
        handler.addFilter(_Program(program))
