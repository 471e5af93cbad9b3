# SPDX-License-Identifier: Apache-2.0
"""From what was refused to what the client is told: status codes and the words of the contract.

Two shapes of body: a fault for what a handler refuses, a routing fault for what never came so far.
"""

import logging
from collections.abc import Callable, Mapping

import falcon
import msgspec
import sqlalchemy.exc

from ottava.model import errors

LOG = logging.getLogger(__name__)

LONGEST_VALUE = 255
"""How much of a bad value is shown back."""

RETRY_SECONDS = 2
"""What a client is told to wait after a 503; a database that restarts, or fails over, needs a few times that."""

Facts = Mapping[str, object]


class NoParent(falcon.HTTPError):
    """The object named before the last collection in a nested URL does not exist."""

    def __init__(self, word: str, identifier: str) -> None:
        super().__init__(404, title="Bad Request", description=f"{word} {identifier} not found.")


def bad_request(reason: str) -> falcon.HTTPError:
    """A request refused before its handler: 400 as a routing fault."""
    return falcon.HTTPError(400, title="Bad Request", description=reason)


def shown(value: object) -> str:
    """A value as a sentence shows it: cut, and never an error."""
    try:
        text = str(value)
    except (ValueError, RecursionError):
        text = "..."
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."


def _unknown(facts: Facts) -> str:
    path = facts.get("path") or ()
    where = ".".join([str(facts["argument"]), *(path if isinstance(path, tuple | list) else (str(path),))])
    return f"Unknown attribute for argument {where}: {shown(facts['key'])}"


def _bad_body(facts: Facts) -> str:
    if "missing" in facts:
        return f"Validation failure: No {facts['missing']} object supplied."
    if facts.get("empty"):
        return f'Missing argument: "{facts["argument"]}"'
    return "Request is not in valid JSON format"


def _bad_policy(facts: Facts) -> str:
    if "reason" in facts:
        return f"Invalid L7 Policy arguments: {facts['reason']}"
    return f"Invalid L7 Policy action specified: {shown(facts.get('action'))}"


_QUERIES = {
    "filter": "One or more arguments are either duplicate or invalid",
    "sort_key": "Supplied sort key '{value}' is not valid.",
    "sort_dir": "Supplied sort direction '{value}' is not valid.",
    "marker": "Supplied pagination marker '{value}' is not valid.",
    "limit": "Supplied pagination limit '{value}' is not valid.",
}

_DUPLICATES = {
    "listener": "Another Listener on this Load Balancer is already using protocol {protocol} "
    "and protocol_port {protocol_port}",
    "member": "Another member on this pool is already using ip {address} on protocol_port {protocol_port}",
    "healthmonitor": "This pool already has a health monitor",
    "default_pool": "This listener already has a default pool",
    "vip": "The VIP IP address is already in use: {reason}",
    "id": "Already an entity with that specified id.",
    "name": "A {field} of {name} already exists.",
}


class _Shown(dict[str, object]):
    """Facts for a template: values cut, missing ones a dash."""

    def __missing__(self, key: str) -> str:
        return "-"


def _filled(template: str, facts: Facts) -> str:
    return template.format_map(_Shown({name: shown(value) for name, value in facts.items()}))


def _in_use(facts: Facts) -> str:
    by = "by {by} {by_id}" if "by" in facts else "and cannot be modified."
    return _filled("{resource} {id} is in use " + by, facts)


def _by_what(templates: Mapping[str, str]) -> Callable[[Facts], str]:
    return lambda facts: _filled(templates[str(facts["what"])], facts)


_ANSWERS: dict[type[errors.Refused], tuple[int, str | Callable[[Facts], str]]] = {
    errors.BadValue: (400, "Invalid input for field/attribute {field}. Value: '{value}'. {reason}"),
    errors.UnknownAttribute: (400, _unknown),
    errors.BadBody: (400, _bad_body),
    errors.BadForm: (400, 'Unknown argument: "{argument}"'),
    errors.BadMediaType: (415, "Unknown mimetype: {media_type}"),
    errors.Invalid: (400, "Validation failure: {reason}"),
    errors.BadOption: (400, "{value} is not a valid option for {option}"),
    errors.DisabledOption: (400, "The selected {option} is not allowed in this deployment: {value}"),
    errors.BadReference: (400, "{kind} {id} not found."),
    errors.BadQuery: (400, _by_what(_QUERIES)),
    errors.NoChildren: (400, "Protocol {protocol} listeners cannot have child objects."),
    errors.NoDirectPorts: (400, "The load balancer flavor does not allow SR-IOV member ports."),
    errors.BadRule: (400, "Error parsing L7Rule: {reason}"),
    errors.BadPolicy: (400, _bad_policy),
    errors.UndefinedPool: (400, "Validation failure: {reason}"),
    errors.ProviderNotEnabled: (400, "Provider '{provider}' is not enabled."),
    errors.FlavorMismatch: (400, "Flavor '{id}' is not compatible with provider '{provider}'"),
    errors.NotAllowed: (403, "Policy does not allow this request to be performed."),
    errors.QuotaMet: (403, "Quota has been met for resources: {resource}"),
    errors.NotFound: (404, "{resource} {id} not found."),
    errors.InvalidState: (409, "Invalid state {state} of loadbalancer resource {id}"),
    errors.Immutable: (409, "{resource} {id} is immutable and cannot be updated."),
    errors.Duplicate: (409, _by_what(_DUPLICATES)),
    errors.InUse: (409, _in_use),
    errors.TooMany: (409, "Too many rules on L7 policy {id}"),
    errors.NotMatched: (412, 'It has been changed since it was read: its ETag is "{etag}" now.'),
    errors.Unsupported: (501, "Provider '{provider}' does not support a requested option: {reason}"),
    errors.ProjectBusy: (503, "Project busy.  Unable to lock the project.  Please try again."),
    errors.Unavailable: (503, "Ottava cannot answer at the moment. Please try again."),
}


def answer(refused: errors.Refused) -> tuple[int, str]:
    """The status code and the words for what was refused."""
    status, template = _ANSWERS[type(refused)]
    return status, template(refused.facts) if callable(template) else _filled(template, refused.facts)


def fault(status: int, text: str) -> bytes:
    """The body that clients print: faultstring, and whose fault it is."""
    code = "Client" if status < 500 else "Server"
    return msgspec.json.encode({"faultcode": code, "faultstring": text, "debuginfo": None})


def _tell(resp: falcon.Response, status: int, text: str) -> None:
    resp.status = status
    resp.content_type = falcon.MEDIA_JSON
    resp.data = fault(status, text)
    if status == 503:
        resp.retry_after = RETRY_SECONDS


def _on_refused(req: falcon.Request, resp: falcon.Response, error: errors.Refused, params: object) -> None:
    status, text = answer(error)
    if status == 503:
        LOG.error("%s %s: %s", req.method, req.path, error)
    _tell(resp, status, text)


def _on_database(req: falcon.Request, resp: falcon.Response, error: Exception, params: object) -> None:
    LOG.error("%s %s: the database does not answer: %s", req.method, req.path, error)
    _tell(resp, 503, "The database does not answer. Please try again.")


def _on_bug(req: falcon.Request, resp: falcon.Response, error: Exception, params: object) -> None:
    LOG.error("%s %s failed", req.method, req.path, exc_info=error)
    _tell(resp, 500, "Something unknown went wrong")


def _routing_fault(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError) -> None:
    resp.content_type = falcon.MEDIA_JSON
    title = (error.title or "").removeprefix(f"{error.status_code} ")
    resp.data = msgspec.json.encode({"code": error.status_code, "title": title, "description": error.description or ""})


def install(app: falcon.App) -> None:  # type: ignore[type-arg]
    """Make the app answer every exception in the contract's words."""
    app.set_error_serializer(_routing_fault)
    app.add_error_handler(Exception, _on_bug)
    app.add_error_handler(errors.Refused, _on_refused)
    app.add_error_handler(sqlalchemy.exc.DBAPIError, _on_database)
