"""The engine's own wording. meddela has matched the event to a template, which
the job names; an engine may render that, or as here words of its own."""

from __future__ import annotations

import re

WORDS = {
    "order_confirmation": {
        "en": ("Your order {order.number}", "Thank you, {firstName}. We got order {order.number}: {order.total} {order.currency}."),
        "sv": ("Din order {order.number}", "Tack, {firstName}. Vi har fått order {order.number}: {order.total} {order.currency}."),
    },
    "one_time_code": {"en": ("", "{code} is your code.")},
}


class NoWords(LookupError):
    """There are no words for the type."""


class MissingData(LookupError):
    """The words need what the event does not have; says its path."""


def render(job) -> tuple:
    """Returns subject, text and language of a job's message."""
    words = WORDS.get(job.fields.get("type"))
    if not words:
        raise NoWords(f"there are no words for the type {job.fields.get('type')}")
    language = job.fields.get("language", "").split("-")[0]
    if language not in words:
        language = "en"
    ctx = job.event().get("ctx") or {}
    subject, text = (re.sub(r"{([\w.]+)}", lambda m: lookup(ctx, m[1]), part) for part in words[language])
    return subject, text, language


def lookup(ctx: dict, path: str) -> str:
    value = ctx
    for name in path.split("."):
        if not isinstance(value, dict) or value.get(name) is None:
            raise MissingData(f"reads ctx.{path}, which the event does not have")
        value = value[name]
    return str(value)
