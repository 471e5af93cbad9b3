# SPDX-License-Identifier: Apache-2.0
"""What can be refused, as types. The words and status codes that a client sees are made in api/errors.py."""


class Refused(Exception):
    """A request that Ottava understood and will not carry out."""

    def __init__(self, **facts: object) -> None:
        super().__init__(", ".join(f"{name}={value}" for name, value in facts.items()))
        self.facts = facts


class BadValue(Refused):
    """A value of the wrong type or out of bounds. Facts: field, value, reason."""


class UnknownAttribute(Refused):
    """A key that no declaration knows. Facts: argument, path (tuple of str), key."""


class BadBody(Refused):
    """No JSON, or no object under the root key. Facts: argument."""


class BadForm(Refused):
    """A body sent as a form. Facts: argument."""


class BadMediaType(Refused):
    """A body that does not say that it is JSON. Facts: media_type."""


class Invalid(Refused):
    """The whole makes no sense although each value does. Facts: reason."""


class BadOption(Refused):
    """A value that another value rules out. Facts: value, option."""


class DisabledOption(Refused):
    """Switched off by the operator. Facts: value, option."""


class BadReference(Refused):
    """A subnet, network or port that does not exist. Facts: kind, id."""


class BadQuery(Refused):
    """A filter, sort key or marker that cannot be used. Facts: what (filter, sort_key, sort_dir, marker, limit), value."""


class NoChildren(Refused):
    """A pool or policy for a listener that takes none. Facts: protocol."""


class NoDirectPorts(Refused):
    """An SR-IOV port of a member, which the flavor of the load balancer does not allow."""


class BadRule(Refused):
    """An L7 rule that makes no sense. Facts: reason."""


class BadPolicy(Refused):
    """An L7 policy whose action and arguments do not fit. Facts: reason, or action."""


class UndefinedPool(Refused):
    """A nested pool that lacks its definition. Facts: reason."""


class ProviderNotEnabled(Refused):
    """A provider that the operator does not offer. Facts: provider."""


class FlavorMismatch(Refused):
    """A flavor that is another provider's. Facts: id, provider."""


class NotAllowed(Refused):
    """The policy says no."""


class QuotaMet(Refused):
    """Facts: resource (the word of the kind)."""


class NotFound(Refused):
    """Facts: resource (the word of the kind), id."""


class InvalidState(Refused):
    """A verb on a load balancer whose state forbids it. Facts: state, id."""


class Immutable(Refused):
    """A parent whose state forbids changes below it. Facts: resource, id."""


class Duplicate(Refused):
    """Something that must be unique is taken. Facts: what (listener, member, healthmonitor, default_pool, vip), and the values."""


class InUse(Refused):
    """Facts: resource, id; by (resource) and by_id where one is to be named."""


class NotMatched(Refused):
    """The object is no longer the one that the client has read. Facts: etag."""


class TooMany(Refused):
    """Facts: id."""


class Unsupported(Refused):
    """The provider cannot do it. Facts: provider, reason."""


class ProjectBusy(Refused):
    """The row of the project stayed locked for too long."""


class Unavailable(Refused):
    """The database, or what a request needs beside it, does not answer. Facts: reason."""

    def __str__(self) -> str:
        return str(self.facts["reason"])
