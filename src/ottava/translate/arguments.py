# SPDX-License-Identifier: Apache-2.0
"""The text of each kind of argument, as HAProxy's own line parser reads it back (configuration.txt, 2.2).

Everything ends in `word`, which quotes for the line; kinds that HAProxy reads a second time (log-formats,
arguments of sample fetches) are escaped for that reading first.
"""

import re

from ottava.translate.ir import AclString, Argument, LogFormat, Regex, RunPath, Sample

BARE = re.compile(r"[A-Za-z0-9_.:/,=+%()\[\]-]+\Z", re.ASCII)
"""What HAProxy reads as itself outside quotes."""

NAME = re.compile(r"[A-Za-z0-9_.:-]+\Z", re.ASCII)
RUN = "@RUN@"


def word(text: str) -> str:
    """`text` as one word of a line. Raises ValueError for what no line can hold."""
    if not text:
        raise ValueError("an empty argument would end its line")
    if any(char in text for char in "\x00\r\n"):
        raise ValueError(f"{text!r} holds a line break or NUL")
    if BARE.match(text):
        return text
    # Within single quotes nothing has a meaning but the closing quote; an empty pair of quotes keeps
    # the agent from taking a user's "@RUN@" for its own.
    quoted = "'" + text.replace("'", "'\\''") + "'"
    return quoted.replace(RUN, "@R''UN@")


def name(text: str) -> str:
    """The name of a section, an ACL or a server. Raises ValueError if HAProxy could not take it."""
    if not NAME.match(text):
        raise ValueError(f"{text!r} cannot be a name")
    return text


def render(argument: Argument) -> str:
    """The text of one argument, quoted. Raises ValueError for what cannot be said."""
    match argument:
        case LogFormat(text):
            return word(text.replace("%", "%%"))
        case Sample():
            return word(sample(argument))
        case RunPath(below):
            return f"{RUN}/{name(below)}"
        case AclString(text) | Regex(text):
            return word(text)
        case _:
            return word(argument.text)


def sample(argument: Sample) -> str:
    """A fetch with its argument and converters, not yet quoted for the line."""
    inner = ""
    if argument.argument is not None:
        if not argument.argument:
            raise ValueError(f"{argument.fetch} needs a name")
        escaped = argument.argument.replace("\\", "\\\\").replace('"', '\\"')
        inner = f"({argument.argument})" if NAME.match(argument.argument) else f'("{escaped}")'
    return ",".join((argument.fetch + inner, *argument.converters))
