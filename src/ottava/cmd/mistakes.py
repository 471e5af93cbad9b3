# SPDX-License-Identifier: Apache-2.0
"""What a person can put right: told in words, without a traceback."""


class UserMistake(Exception):
    """The message says what is wrong and what to do."""
