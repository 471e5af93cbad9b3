# SPDX-License-Identifier: Apache-2.0
"""The recipes of CONTRIBUTING.md, followed to the letter on a copy of the source: what they promise is so."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPES = (ROOT / "CONTRIBUTING.md").read_text()

_CLIENT = """
import sys
from pathlib import Path
sys.path.insert(0, {api!r})
from conftest import Api
from ottava.cmd import db
db._revision("the recipe")
"""

_ATTRIBUTE = """
import sys
from pathlib import Path
sys.path.insert(0, {api!r})
from conftest import Api
api = Api(Path({folder!r}))
lb = api.make("loadbalancers", vip_subnet_id=api.subnet_id)
pool = api.make("pools", loadbalancer_id=lb["id"], protocol="HTTP", lb_algorithm="ROUND_ROBIN")
path = f"pools/{{pool['id']}}/members"
for site in ("north", "south"):
    body = {{"member": {{"address": f"198.18.0.{{len(site)}}", "protocol_port": len(site + site[0:1]), "site": site}}}}
    body["member"]["protocol_port"] += site == "south"
    answer = api("POST", path, body)
    assert answer.status_code == 201, answer.text
    assert answer.json["member"]["site"] == site
assert api("POST", path, {{"member": {{"address": "198.18.0.9", "protocol_port": 1, "site": 7}}}}).status_code == 400
found = api("GET", path + "?site=north").json["members"]
assert [each["site"] for each in found] == ["north"]
found = api("GET", path + "?sort=site:desc").json["members"]
assert [each["site"] for each in found] == ["south", "north"]
one = f"{{path}}/{{found[0]['id']}}"
assert api("PUT", one, {{"member": {{"site": None}}}}).json["member"]["site"] is None
assert "site" in api("GET", "/openapi.json").text
"""

_RESOURCE = """
import sys
from pathlib import Path
sys.path.insert(0, {api!r})
from conftest import Api
api = Api(Path({folder!r}))
lb = api.make("loadbalancers", vip_subnet_id=api.subnet_id)
answer = api("POST", "notes", {{"note": {{"loadbalancer_id": lb["id"], "name": "mind the gap", "tags": ["a"]}}}})
assert answer.status_code == 201, answer.text
note = answer.json["note"]
assert note["provisioning_status"] == "PENDING_CREATE", note
assert api("PUT", f"notes/{{note['id']}}", {{"note": {{"name": "done"}}}}).json["note"]["name"] == "done"
assert [each["id"] for each in api("GET", "notes?name=done&tags=a").json["notes"]] == [note["id"]]
assert api("POST", "notes", {{"note": {{"loadbalancer_id": lb["id"], "colour": "red"}}}}).status_code == 400
assert api("DELETE", f"notes/{{note['id']}}").status_code == 204
assert api("GET", f"notes/{{note['id']}}").json["note"]["provisioning_status"] == "PENDING_DELETE"
"""


def _block(heading: str, number: int = 0) -> str:
    """A block of code of a recipe."""
    text = RECIPES.partition(f"## Recipe: {heading}")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)[number]


def _insert(path: Path, after: str, text: str) -> None:
    source = path.read_text()
    assert after in source
    path.write_text(source.replace(after, after + text, 1))


def _run(copy: Path, script: str, folder: Path) -> None:
    values = {"api": str(ROOT / "tests" / "api"), "folder": str(folder)}
    environment = {**os.environ, "PYTHONPATH": f"{copy}:{ROOT / 'tests'}"}
    done = subprocess.run(
        [sys.executable, "-c", script.format(**values)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _copy(folder: Path) -> Path:
    shutil.copytree(ROOT / "src" / "ottava", folder / "src" / "ottava", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "state").mkdir()
    return folder / "src"


def test_an_attribute_is_one_line(tmp_path: Path) -> None:
    copy = _copy(tmp_path)
    line = '    name: Annotated[str, NAME] = ""\n'
    _insert(copy / "ottava/model/member.py", line, _block("add an attribute"))
    _run(copy, _CLIENT, tmp_path / "state")
    _run(copy, _ATTRIBUTE, tmp_path / "state")


def test_a_resource_is_one_file_and_its_name_in_three_places(tmp_path: Path) -> None:
    copy = _copy(tmp_path)
    (copy / "ottava/model/note.py").write_text(_block("add a resource"))
    graph = copy / "ottava/model/graph.py"
    _insert(graph, "from ottava.model.member import Member\n", "from ottava.model.note import Note\n")
    _insert(graph, "    rules: dict[str, L7Rule] = msgspec.field(default_factory=dict)\n", _block("add a resource", 1))
    graph.write_text(
        graph.read_text().replace("HealthMonitor, L7Policy, L7Rule)", "HealthMonitor, L7Policy, L7Rule, Note)")
    )
    app = copy / "ottava/api/app.py"
    _insert(app, "from ottava.model.member import Member\n", "from ottava.model.note import Note\n")
    _insert(app, '        **_resource(site, "/v2/listeners", Listener),\n', _block("add a resource", 2))
    _run(copy, _CLIENT, tmp_path / "state")
    _run(copy, _RESOURCE, tmp_path / "state")
