# SPDX-License-Identifier: Apache-2.0
"""What the operations are that no declaration describes, by method and route."""

from collections.abc import Mapping

import msgspec

from ottava.api.openapi.schemas import IDENTIFIER, TEXT, Json, array, closed, ref, whole
from ottava.api.quotas import LISTED
from ottava.model import scalars, status
from ottava.model.attribute import Attribute, attributes
from ottava.model.event import Event
from ottava.wire.heartbeat import Counters

NUMBER: Json = {"type": "integer"}
ANYTHING: Json = {"type": "object"}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation.

    answer   schema of the body of a good answer, None where there is none
    body     schema of the request's body
    query    parameters in the query string, by their names among the components
    filters  attributes that the list may be filtered by
    refuses  status codes beyond those that every operation may have
    public   needs no authentication
    tagged   the good answer carries the ETag of the object
    others   schemas of the good answer in other media than JSON, which the client may ask for
    """

    summary: str
    status: int = 200
    answer: Json | None = None
    body: Json | None = None
    body_required: bool = True
    query: tuple[str, ...] = ()
    filters: Mapping[str, Attribute] = {}
    refuses: tuple[int, ...] = ()
    public: bool = False
    tagged: bool = False
    others: Mapping[str, Json] = {}


LIST = ("fields", "limit", "marker", "page_reverse", "sort", "sort_key", "sort_dir")
TAGS = ("tags", "tags-any", "not-tags", "not-tags-any")
BODY = (413, 415)

_STATE: Json = {
    "id": IDENTIFIER,
    "name": TEXT,
    "operating_status": {"enum": list(status.OPERATING)},
    "provisioning_status": {"enum": list(status.PROVISIONING)},
}
_POOL_STATE = whole({
    **_STATE,
    "health_monitor": {"anyOf": [whole({**_STATE, "type": TEXT}), {"type": "null"}]},
    "members": array(whole({**_STATE, "address": TEXT, "protocol_port": NUMBER})),
})  # fmt: skip
_LISTENER_STATE = whole({**_STATE, "pools": array(_POOL_STATE)})
_STATUSES = whole({"statuses": whole({"loadbalancer": whole({**_STATE, "listeners": array(_LISTENER_STATE)})})})
_STATS = whole({"stats": whole(dict.fromkeys(Counters.__struct_fields__, NUMBER))})
_AMPHORA_STATS = whole({
    "id": IDENTIFIER, "listener_id": IDENTIFIER, "loadbalancer_id": IDENTIFIER,
    **dict.fromkeys(Counters.__struct_fields__, NUMBER),
})  # fmt: skip
_NAMED = array(closed({"name": TEXT, "description": TEXT}))
_WORDS = {
    "name": Attribute(scalars.TEXT_255, "Its name."),
    "description": Attribute(scalars.TEXT_255, "What it means."),
}
_VERSION = whole({
    "id": TEXT, "status": {"enum": ["CURRENT", "SUPPORTED"]}, "updated": TEXT,
    "links": array(whole({"rel": {"const": "self"}, "href": TEXT})),
})  # fmt: skip
_QUOTA = whole({"quota": ref("quota")})
_SHOW_STATUS = Operation(summary="Show the status tree", answer=_STATUSES, refuses=(404,))
_SHOW_VERSION = Operation(summary="Show the newest version", answer=whole({"version": _VERSION}))
_HEALTH = Operation(
    summary="Whether this API can answer, where the operator has enabled it",
    answer=whole({"detailed": {"type": "boolean"}, "reasons": array(TEXT)}),
    others={"text/plain": TEXT},
    refuses=(404,),
    public=True,
)
_NETWORK = closed({
    "id": IDENTIFIER, "name": TEXT, "status": TEXT, "admin_state_up": {"type": "boolean"}, "subnets": array(IDENTIFIER),
})  # fmt: skip
_SUBNET = closed({
    "id": IDENTIFIER, "name": TEXT, "network_id": IDENTIFIER, "cidr": TEXT, "ip_version": {"enum": [4, 6]},
    "gateway_ip": {"type": ["string", "null"]}, "enable_dhcp": {"type": "boolean"},
})  # fmt: skip
_EVENT = closed({
    name: {"anyOf": [{**each.scalar.schema}, {"type": "null"}], "description": each.about}
    for name, each in attributes(Event).items() if each.rendered
})  # fmt: skip

OPERATIONS: dict[str, Operation] = {
    "GET /": Operation(summary="List the versions", answer=whole({"versions": array(_VERSION)}), public=True),
    "GET /v2": _SHOW_VERSION,
    "GET /v2/octavia": _SHOW_VERSION,
    "GET /openapi.json": Operation(summary="Show this document", answer=ANYTHING, public=True),
    "GET /healthcheck": _HEALTH,
    "HEAD /healthcheck": msgspec.structs.replace(_HEALTH, answer=None, others={}),
    "GET /v2/loadbalancers/{loadbalancer_id}/status": _SHOW_STATUS,
    "GET /v2/loadbalancers/{loadbalancer_id}/statuses": _SHOW_STATUS,
    "GET /v2/loadbalancers/{loadbalancer_id}/stats": Operation(
        summary="Show what went through a load balancer", answer=_STATS, refuses=(404,)
    ),
    "GET /v2/loadbalancers/{loadbalancer_id}/events": Operation(
        summary="List what happened to a load balancer, and why, newest first",
        answer=closed({"events": array(_EVENT), "events_links": array(ref("Link"))}, ("events",)),
        query=LIST,
        filters={name: each for name, each in attributes(Event).items() if each.filterable},
        refuses=(404,),
    ),
    "PUT /v2/loadbalancers/{loadbalancer_id}/failover": Operation(
        summary="Replace the amphorae", status=202, body=closed({}), body_required=False, refuses=(404, 409, *BODY)
    ),
    "GET /v2/listeners/{listener_id}/stats": Operation(
        summary="Show what went through a listener", answer=_STATS, refuses=(404,)
    ),
    "PUT /v2/pools/{pool_id}/members": Operation(
        summary="Replace the members: create, update and delete until they are as the body says",
        status=202,
        body=whole({"members": array(ref("memberCreate"))}),
        query=("additive_only", "If-Match"),
        refuses=(404, 409, 412, 501, *BODY),
    ),
    "GET /v2/quotas": Operation(
        summary="List the quotas of projects",
        answer=closed({"quotas": array(ref("quota")), "quotas_links": array(ref("Link"))}, ("quotas",)),
        query=LIST,
        filters=LISTED,
    ),
    "GET /v2/quotas/{project_id}": Operation(
        summary="Show the quota of a project", answer=_QUOTA, query=("fields",), refuses=(404,), tagged=True
    ),
    "PUT /v2/quotas/{project_id}": Operation(
        summary="Set the quota of a project",
        status=202,
        answer=_QUOTA,
        body=whole({"quota": ref("quotaUpdate")}),
        query=("If-Match",),
        tagged=True,
        refuses=(404, 412, *BODY),
    ),
    "DELETE /v2/quotas/{project_id}": Operation(
        summary="Reset the quota of a project to the defaults", status=202, query=("If-Match",), refuses=(404, 412)
    ),
    "GET /v2/quotas/{project_id}/default": Operation(
        summary="Show the quota of a project for which none is set",
        answer=_QUOTA,
        query=("fields",),
        refuses=(404,),
        tagged=True,
    ),
    "GET /v2/octavia/amphorae/{amphora_id}/stats": Operation(
        summary="Show what went through an amphora",
        answer=whole({"amphora_stats": array(_AMPHORA_STATS)}),
        refuses=(404,),
    ),
    "PUT /v2/octavia/amphorae/{amphora_id}/failover": Operation(
        summary="Replace an amphora", status=202, refuses=(404, 409)
    ),
    "PUT /v2/octavia/amphorae/{amphora_id}/config": Operation(
        summary="Tell an amphora anew what it should be like", status=202, refuses=(404,)
    ),
    "GET /v2/providers": Operation(
        summary="List the providers", answer=whole({"providers": _NAMED}), query=("fields",)
    ),
    "GET /v2/providers/{provider}/flavor_capabilities": Operation(
        summary="List what a flavor may say",
        answer=whole({"flavor_capabilities": _NAMED}),
        query=("fields",),
        filters=_WORDS,
    ),
    "GET /v2/providers/{provider}/availability_zone_capabilities": Operation(
        summary="List what an availability zone may say",
        answer=whole({"availability_zone_capabilities": _NAMED}),
        query=("fields",),
        filters=_WORDS,
    ),
    "GET /v2/networks": Operation(summary="List the networks", answer=whole({"networks": array(_NETWORK)})),
    "GET /v2/subnets": Operation(summary="List the subnets", answer=whole({"subnets": array(_SUBNET)})),
}
