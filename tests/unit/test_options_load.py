# SPDX-License-Identifier: Apache-2.0
"""How the configuration is read."""

from pathlib import Path

import pytest

from ottava import options


def test_it_works_without_any_file() -> None:
    conf = options.load()
    assert conf.database.connection == "sqlite:////var/lib/ottava/ottava.sqlite"
    assert conf.api.bind_host == conf.agent.bind_host == conf.health.bind_host == "127.0.0.1"


def test_later_files_win_and_overrides_win_over_all(tmp_path: Path) -> None:
    first, second = tmp_path / "1.conf", tmp_path / "2.conf"
    first.write_text("[DEFAULT]\nstate_dir = /one\n[api]\nbind_port = 1\nworkers = 3\n")
    second.write_text("[api]\nbind_port = 2\n[local_network]\nnetwork = a 198.18.1.0/24\nnetwork = b 198.18.2.0/24\n")
    conf = options.load([str(first), str(second)], overrides={("DEFAULT", "run_dir"): "/three"})
    assert (conf.state_dir, conf.run_dir) == ("/one", "/three")
    assert (conf.api.bind_port, conf.api.workers) == (2, 3)
    assert conf.local_network.network == ["a 198.18.1.0/24", "b 198.18.2.0/24"]
    assert conf.database.connection == "sqlite:////one/ottava.sqlite"


def test_a_directory_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("[agent]\ntag = ab\n")
    assert options.load(config_dirs=[str(tmp_path)]).agent.tag == "ab"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[agent]\ntag = Not-A-Tag\n", "tag"),
        ("[agent]\ntag = ot\\n\n", "tag"),
        ("[api]\nbind_port = many\n", "bind_port"),
        ("[api]\nauth_strategy = hope\n", "auth_strategy"),
        ("[controller]\nworkers = 0\n", "workers"),
        ("no section = at all\n", "parse"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.conf"
    path.write_text(text)
    with pytest.raises(options.BadConfiguration, match=words):
        options.load([str(path)])


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(options.BadConfiguration, match="/nowhere"):
        options.load(["/nowhere.conf"])


def test_every_option_says_what_it_is_for() -> None:
    for group, opts in options.list_opts():
        names = [opt.name for opt in opts]
        assert len(names) == len(set(names)), group
        assert [opt.name for opt in opts if not opt.help or not opt.help.endswith((".", "'."))] == []
