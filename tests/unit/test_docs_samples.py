# SPDX-License-Identifier: Apache-2.0
"""The samples in etc/ and the programs of oslo that operators know: what they write is what holds."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

from ottava import options, policies

ETC = Path(__file__).parents[2] / "etc"


def ran(program: str, *arguments: str) -> str:
    """What a program of this environment writes."""
    path = Path(sys.executable).with_name(program)
    done = subprocess.run([path, "--namespace", "ottava", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_option_is_in_the_generated_configuration() -> None:
    written = ran("oslo-config-generator")
    for group, opts in options.list_opts():
        section = written.partition(f"[{group}]\n")[2].partition("\n\n\n[")[0]
        for opt in opts:
            assert re.search(rf"^#{opt.name} = ?", section, re.MULTILINE), (group, opt.name)


def test_the_sample_configuration_is_the_defaults(tmp_path: Path) -> None:
    text = (ETC / "ottava.conf.sample").read_text()
    names = "|".join({opt.name for _, opts in options.list_opts() for opt in opts})
    path = tmp_path / "ottava.conf"
    path.write_text(re.sub(rf"^#((?:{names}) =)", r"\1", text, flags=re.MULTILINE))
    assert path.read_text().count("\n#") < text.count("\n#") - 40
    sampled, plain = options.load([str(path)]), options.load([str(ETC / "ottava.conf.sample")])
    for group, opts in options.list_opts():
        for opt in opts:
            given, default = ((conf if group == "DEFAULT" else conf[group])[opt.dest] for conf in (sampled, plain))
            assert given == default, (group, opt.name)


def test_the_sample_policy_is_the_defaults() -> None:
    text = (ETC / "policy.yaml.sample").read_text()
    found = yaml.safe_load(re.sub(r'^#"', '"', text, flags=re.MULTILINE))
    assert found == {rule.name: rule.check_str for rule in policies.list_rules()}
    assert yaml.safe_load(ran("oslopolicy-sample-generator")) is None


def test_programs_of_oslo_policy_find_our_rules(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text('"context_is_admin": "role:admin"\n"project-reader": "role:seer"\n')
    (tmp_path / "ottava.conf").write_text(f"[oslo_policy]\npolicy_file = {tmp_path}/policy.yaml\n")
    conf = f"--config-file={tmp_path}/ottava.conf"
    assert yaml.safe_load(ran("oslopolicy-list-redundant", conf)) == {"context_is_admin": "role:admin"}
    whole = yaml.safe_load(ran("oslopolicy-policy-generator", conf))
    assert whole["project-reader"] == "role:seer"
    assert whole["os_load-balancer_api:listener:post"] == "rule:load-balancer:write"
