# SPDX-License-Identifier: Apache-2.0
"""What the controller takes from the options, read once."""

from pathlib import Path

import msgspec
from oslo_config import cfg


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds; as in options.py, where the help texts are."""

    state_dir: Path
    run_dir: Path
    workers: int = 4
    lease: float = 30.0
    sweep: float = 1.0
    retry_base: float = 0.5
    retry_cap: float = 60.0
    error_after: float = 30.0
    resync: float = 60.0
    host_timeout: float = 60.0
    brake: float = 0.5
    orphan_grace: float = 60.0
    events_kept: int = 200


def settings(conf: cfg.ConfigOpts) -> Settings:
    """The settings that `conf` says."""
    group = conf.controller
    return Settings(
        state_dir=Path(conf.state_dir),
        run_dir=Path(conf.run_dir),
        workers=group.workers,
        lease=group.lease,
        sweep=group.sweep,
        retry_base=group.retry_base,
        retry_cap=group.retry_cap,
        error_after=group.error_after,
        resync=group.resync,
        orphan_grace=group.orphan_grace,
        events_kept=conf.events_kept,
        host_timeout=conf.health.host_timeout,
        brake=conf.health.brake,
    )
