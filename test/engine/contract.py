"""What meddela's topics hold, as docs/external-engine.md describes it.

This reads jobs and makes entries of the delivery log. It knows nothing of how
messages are sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone

# Headers of a job that its entries carry too, and none besides: others may
# hold what no log should.
TRACE = ("traceparent", "tracestate")

# Headers of a record that waits on a delay topic or on the paused topic.
WAITING = ("x-due", "x-target-topic", "x-orders", "x-paused-providers")

# The delay topics, by the seconds that a record waits there at most.
TIERS = (("400ms", 0.4), ("2s", 2), ("10s", 10), ("1m", 60), ("10m", 600), ("1h", 3600), ("6h", 21600))

MAX_DETAIL_BYTES = 500


class NoJob(ValueError):
    """The value of a record on a jobs topic is no job."""


def now() -> datetime:
    return datetime.now(timezone.utc)


def read_time(text: str | None) -> datetime | None:
    """Reads an RFC 3339 time; nothing is no time."""
    if not text:
        return None
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def write_time(t: datetime) -> str:
    return t.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Job:
    """One delivery that is asked for: a record of <lane>.jobs."""

    fields: dict  # by their names in job.json
    raw: dict  # the same as they were written
    value: bytes
    key: bytes
    headers: list  # of (name, bytes)
    partition: int

    @property
    def id(self) -> str:
        return self.fields["job_id"]

    @property
    def event_id(self) -> str:
        return self.fields["event_id"]

    @property
    def attempt(self) -> int:
        return self.fields["attempt"]

    @property
    def to(self) -> str:
        return self.fields.get("to") or ""

    @property
    def expires(self) -> datetime | None:
        return read_time(self.fields.get("expires"))

    @property
    def not_before(self) -> datetime | None:
        return read_time(self.fields.get("not_before"))

    def event(self) -> dict:
        """The event's own fields: those of its data, where it is a CloudEvent
        in structured mode."""
        event = self.fields["event"]
        media_type = (self.header("content-type") or b"").split(b";")[0].strip().lower()
        bare_envelope = "specversion" in event and "data" in event and "ctx" not in event
        if media_type == b"application/cloudevents+json" or bare_envelope:
            return event.get("data") or {}
        return event

    def header(self, name: str) -> bytes | None:
        for key, value in reversed(self.headers):
            if key == name:
                return value
        return None

    def trace(self) -> list:
        return [(key, value) for key, value in self.headers if key in TRACE]

    def again(self, attempt: int) -> bytes:
        """The job's value with another attempt, and all else byte for byte:
        written anew, a number such as 129.90 would be another."""
        raw = dict(self.raw, attempt=str(attempt))
        return ("{" + ",".join(json.dumps(key) + ":" + value for key, value in raw.items()) + "}").encode()


def read_job(value: bytes | None, key: bytes | None, headers: list | None, partition: int) -> Job:
    """Reads a record of a jobs topic. Raises NoJob."""
    if value is None:
        raise NoJob("the record has no value")
    try:
        fields, raw = {}, {}
        for name, field, text in members(value.decode("utf-8")):
            fields[name], raw[name] = field, text
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise NoJob("the value is no JSON object") from None
    for name, kind in (("job_id", str), ("event_id", str), ("lane", str), ("channel", str), ("attempt", int), ("event", dict)):
        if not isinstance(fields.get(name), kind):
            raise NoJob(f"{name} is required")
    return Job(fields, raw, value, key or fields["event_id"].encode(), headers or [], partition)


# Fractions stay as they were written: 129.90 is money.
_decoder = json.JSONDecoder(parse_float=str)


def members(text: str):
    """Yields name, value and text of each member of a JSON object."""

    def after(i: int, wanted: str) -> int:
        i = skip_space(i)
        if text[i : i + 1] not in tuple(wanted):
            raise ValueError(f"{wanted} is expected at {i}")
        return i + 1

    def skip_space(i: int) -> int:
        while text[i : i + 1] in tuple(" \t\r\n"):
            i += 1
        return i

    i = after(0, "{")
    if text[skip_space(i)] == "}":
        return
    while True:
        name, i = _decoder.raw_decode(text, skip_space(i))
        start = skip_space(after(i, ":"))
        value, end = _decoder.raw_decode(text, start)
        yield name, value, text[start:end]
        i = after(end, ",}")
        if text[i - 1] == "}":
            return


def entry(job: Job, status: str, reason: str = "", detail: str = "", provider: str = "", message_id: str = "", at: datetime | None = None) -> dict:
    """Makes an entry about a job. It has neither address nor message."""
    made = {
        "event_id": job.event_id,
        "job_id": job.id,
        "lane": job.fields["lane"],
        "redrives": job.fields.get("redrives", 0),
        "attempt": job.attempt,
        "status": status,
        "reason": reason,
        "detail": detail.encode()[:MAX_DETAIL_BYTES].decode(errors="ignore"),
        "type": job.fields.get("type"),
        "channel": job.fields["channel"],
        "template": job.fields.get("template"),
        "provider": provider,
        "provider_message_id": message_id,
        "source": job.fields.get("source"),
        "received_at": job.fields.get("received_at"),
        "at": write_time(at or now()),
    }
    return {name: value for name, value in made.items() if value not in ("", None)}


def write(entry: dict) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode()


def tier_for(seconds: float) -> str:
    """The longest tier that is no longer than the time to wait."""
    return [name for name, wait in TIERS if wait <= seconds or name == TIERS[0][0]][-1]
