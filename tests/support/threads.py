# SPDX-License-Identifier: Apache-2.0
"""Things done at the same time."""

import threading
from collections.abc import Callable


def together(*jobs: Callable[[], object], times: int = 1) -> None:
    """Run jobs in a thread each, `times` over, and raise what any of them raises first."""
    raised: list[BaseException] = []

    def guarded(job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs * times]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
