# SPDX-License-Identifier: Apache-2.0
"""What the controller and the agent say to each other; nothing else crosses between them.

JSON over HTTPS with mutual TLS. Either side takes messages of its own VERSION and refuses others
in words. Fields may be added with a default without a new version: unknown keys are ignored.
"""

VERSION = 1
