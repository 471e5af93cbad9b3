# SPDX-License-Identifier: Apache-2.0
"""Writes requirements.txt and requirements-dev.txt: exact versions, as installed, of all that pyproject.toml asks for.

Run it in an environment that has what you want: `.venv/bin/pip install -U NAME`, then `make lock`. Likewise
requirements-keystone.txt: everything in .venv-keystone, the environment of the Keystone that the tests run.
"""

import re
import subprocess
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
HEAD = "# Made by `make lock`; do not edit.\n"


def closure(asked: Iterable[str]) -> dict[str, str]:
    """{name: version} of everything that `asked` brings in, itself included."""
    found: dict[str, str] = {}
    todo = [Requirement(each) for each in asked]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement = todo.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        distribution = metadata.distribution(requirement.name)
        extras = requirement.extras or {""}
        if (name, frozenset(extras)) not in seen:
            seen.add((name, frozenset(extras)))
            needs = map(Requirement, distribution.requires or [])
            todo += [
                each
                for each in needs
                if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)
            ]
        found[name] = distribution.version
    return found


def write(path: Path, head: str, pins: dict[str, str]) -> None:
    """A requirements file."""
    path.write_text(head + "".join(f"{name}=={version}\n" for name, version in sorted(pins.items())))


def main() -> None:
    """Write both files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = [re.split(r"[<>=]", each)[0] for each in project["build-system"]["requires"]]
    runtime = closure(project["project"]["dependencies"])
    extras = [each for group in project["project"]["optional-dependencies"].values() for each in group]
    everything = closure([*project["project"]["dependencies"], *extras, *build])
    write(ROOT / "requirements.txt", HEAD, runtime)
    beyond = {name: version for name, version in everything.items() if name not in runtime}
    write(ROOT / "requirements-dev.txt", HEAD + "-r requirements.txt\n", beyond)
    pip = [str(ROOT / ".venv-keystone/bin/pip"), "freeze", "--quiet"]
    frozen = subprocess.run(pip, capture_output=True, text=True, check=True).stdout.split()
    write(ROOT / "requirements-keystone.txt", HEAD, dict(each.split("==") for each in frozen))


if __name__ == "__main__":
    main()
