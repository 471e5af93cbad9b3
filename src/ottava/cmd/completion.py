# SPDX-License-Identifier: Apache-2.0
"""`ottava completion`: what a shell needs to complete the command, made from its grammar."""

import argparse

from ottava.cmd import main

_BASH = """\
_ottava() {{
    local IFS=' ' word command=ottava
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$command $word" in
{known}
        esac
    done
    case "$command" in
{choices}
    esac
}}
complete -o default -F _ottava ottava
"""


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    words = _words("ottava", main.parser())
    if arguments.shell == "fish":
        print(_fish(words), end="")
    elif arguments.shell == "zsh":
        print("#compdef ottava\nautoload -U +X bashcompinit && bashcompinit\n" + _bash(words), end="")
    else:
        print(_bash(words), end="")
    return 0


def _words(command: str, parser: argparse.ArgumentParser) -> dict[str, dict[str, str]]:
    """{command: {word that may follow: what it means}}, for the command and all below it."""
    found: dict[str, dict[str, str]] = {command: {}}
    for action in parser._actions:  # argparse has no other way to ask what was added
        for option in action.option_strings:
            if option.startswith("--"):
                found[command][option] = action.help or ""
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, below in action.choices.items():
                found[command][name] = helps.get(name, "")
                found |= _words(f"{command} {name}", below)
        elif action.choices and not action.option_strings:
            found[command] |= dict.fromkeys(map(str, action.choices), "")
    return found


def _bash(words: dict[str, dict[str, str]]) -> str:
    known = [f'            "{command}") command="{command}" ;;' for command in words if command != "ottava"]
    choices = [
        f'        "{command}") COMPREPLY=($(compgen -W "{" ".join(below)}" -- "${{COMP_WORDS[COMP_CWORD]}}")) ;;'
        for command, below in words.items()
    ]
    return _BASH.format(known="\n".join(known), choices="\n".join(choices))


def _fish(words: dict[str, dict[str, str]]) -> str:
    lines = ["complete -c ottava -f"]
    for command, below in words.items():
        path = command.split()[1:]
        seen = [f"__fish_seen_subcommand_from {name}" for name in path]
        condition = "; and ".join(seen) if seen else "__fish_use_subcommand"
        for word, meaning in below.items():
            form = f"-l {word[2:]}" if word.startswith("--") else f"-a {word}"
            quoted = meaning.replace("\\", "\\\\").replace("'", "\\'")
            lines.append(f"complete -c ottava -n '{condition}' {form} -d '{quoted}'")
    return "\n".join(lines) + "\n"
