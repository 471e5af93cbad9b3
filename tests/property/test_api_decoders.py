# SPDX-License-Identifier: Apache-2.0
"""What reads requests, fed with anything: it takes it or refuses it in words, and fails in no other way."""

from collections.abc import Callable
from typing import Any

import falcon
import falcon.testing
import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.fuzz import examples

from ottava import options
from ottava.api import forms, query_string
from ottava.api.errors import answer
from ottava.api.settings import settings as api_settings
from ottava.model import errors
from ottava.model.attribute import attributes
from ottava.model.catalogue import CATALOGUES
from ottava.model.graph import RESOURCES

SETTINGS = api_settings(options.load(["/dev/null"]))
CLASSES: dict[str, Any] = RESOURCES | CATALOGUES
LONG = settings(deadline=None, max_examples=examples(300), suppress_health_check=list(HealthCheck))

WORDS = sorted({name for cls in CLASSES.values() for name in attributes(cls)} | {"tenant_id", *CLASSES})
TEXT = st.one_of(
    st.text(max_size=12), st.sampled_from(WORDS), st.integers().map(str), st.sampled_from(("true", "80", "::1"))
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(TEXT, inside, max_size=6),
    max_leaves=20,
)


def told(job: Callable[[], Any]) -> Any:
    """What `job` returns; None if it refused, with words that can be sent."""
    try:
        return job()
    except errors.Refused as error:
        status, words = answer(error)
        msgspec.json.encode(words)
    except falcon.HTTPError as error:
        status = error.status_code
    assert 400 <= status < 500
    return None


def decoded(raw: bytes, content_type: str = "application/json") -> object:
    environ = falcon.testing.create_environ(body=raw, headers={"Content-Type": content_type}, method="POST")
    return told(lambda: forms.body(falcon.Request(environ), "argument", SETTINGS.largest_body))


@LONG
@given(raw=st.one_of(st.binary(max_size=200), st.text(alphabet='{}[]",:\\u0deE+-.1 \x00\ud800é', max_size=60)))
@example(raw=b"[" * 114000)
@example(raw=b'{"a":' * 20000)
@example(raw=b"9" * 114000)
def test_any_bytes_are_json_or_refused(raw: bytes | str) -> None:
    data = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
    found = decoded(data)
    if found is not None:
        assert decoded(msgspec.json.encode(found)) == found


@LONG
@given(content_type=st.text(alphabet=st.characters(codec="latin-1", exclude_characters="\r\n\x00"), max_size=40))
def test_any_content_type_is_json_or_refused(content_type: str) -> None:
    decoded(b"{}", content_type)


@LONG
@given(kind=st.sampled_from(sorted(CLASSES)), body=JSON, whole=st.booleans(), inside=st.booleans())
def test_any_json_is_a_form_or_refused(kind: str, body: Any, whole: bool, inside: bool) -> None:
    cls = CLASSES[kind]
    given = {kind: body} if whole else body
    for form in (forms.create_form(cls, inside), forms.update_form(cls)):
        found = told(lambda form=form: forms.entity(given, form))
        if found is not None:
            told(lambda form=form, found=found: forms.check_known(form, found, (kind,)))
            known = {key: value for key, value in found.items() if key in form.known}
            read = forms.update if form == forms.update_form(cls) else forms.create
            values = told(lambda form=form, known=known, read=read: read(form, known))
            assert values is None or set(values) <= set(attributes(cls)) | set(form.known)


KEYS = st.one_of(
    st.sampled_from(
        [*WORDS, *query_string.SORTING, *query_string.PAGING, *query_string.TAGS, *query_string.INTERNAL, "fields"]
    ),
    st.text(max_size=8),
)
QUERIES = st.one_of(
    st.text(max_size=80),
    st.lists(st.tuples(KEYS, st.one_of(TEXT, st.sampled_from(("", "name:desc", "id,name", "infinite", "-1", "%ff", "True")))), max_size=5)
    .map(lambda pairs: "&".join(f"{key}={value}" for key, value in pairs)),
)  # fmt: skip


@LONG
@given(kind=st.sampled_from(sorted(CLASSES)), text=QUERIES)
def test_any_query_string_is_read_or_refused(kind: str, text: str) -> None:
    declared = attributes(CLASSES[kind])
    asked = told(lambda: query_string.read(text, declared, SETTINGS))
    told(lambda: query_string.fields(text, SETTINGS))
    if asked is None:
        return
    assert {name for name, _ in (*asked.query.filters, *asked.query.sort)} <= set(declared)
    assert asked.query.limit is None or 0 < asked.query.limit <= SETTINGS.max_limit
    for link in query_string.links(asked, "http://lb.example/x", ["a"] * (asked.query.limit or 1)):
        again = query_string.read(link["href"].partition("?")[2], declared, SETTINGS)
        assert (again.query.filters, again.query.sort, again.query.limit) == (
            asked.query.filters, asked.query.sort, asked.query.limit,
        )  # fmt: skip


@pytest.mark.parametrize(
    "text", ["limit=%d9%a1", "limit=1_0", "sort=%00", "a" * 100000, "&" * 100000, "fields=" * 5000]
)
def test_odd_query_strings(text: str) -> None:
    told(lambda: query_string.read(text, attributes(CLASSES["pool"]), SETTINGS))
