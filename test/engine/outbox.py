"""A provider for trying the engine: a file that messages are written to.

Like a good provider it takes a message of one key once, and can be asked
whether it has one. The domain of an address decides how it answers:
fail.* is refused, skip.* has said not to be written to, busy.* is to come back
after the first attempt, down.* cannot be reached; all others are accepted.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass

from contract import now, write_time

NAME = "outbox"


@dataclass
class Answer:
    """What the provider says: a status and a reason of meddela's lists, or
    that it failed for now."""

    status: str = ""
    reason: str = ""
    detail: str = ""
    message_id: str = ""
    at: object = None
    for_now: bool = False


class Outbox:
    def __init__(self, path: str, seconds: float):
        self._path, self._seconds = path, seconds
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._end_line()

    def _end_line(self) -> None:
        """Ends a line that a crash has cut off, so that the next is whole."""
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def find(self, keys: set) -> dict:
        """When those of the keys were accepted that were, by key."""
        found = {}
        if keys:
            with open(self._path, encoding="utf-8") as lines:
                for line in lines:
                    try:
                        message = json.loads(line)
                    except ValueError:
                        continue  # cut off: not accepted
                    if message["job_id"] in keys:
                        found[message["job_id"]] = message["at"]
        return found

    def send(self, job, subject: str, text: str, language: str) -> Answer:
        time.sleep(self._seconds)
        label = job.to.rpartition("@")[2].split(".")[0]
        if label == "fail":
            return Answer("delivery_error", "provider_rejected", "550 5.7.1 not from you")
        if label == "skip":
            return Answer("ignored", "suppressed", "has said not to be written to")
        if label == "busy" and job.attempt == 1:
            return Answer("pending_delivery", "transient", "451 4.7.1 come back later", for_now=True)
        if label == "down":
            return Answer("pending_delivery", "provider_down", "does not answer", for_now=True)
        at = now()
        message = {
            "job_id": job.id, "event_id": job.event_id, "lane": job.fields["lane"], "attempt": job.attempt,
            "template": job.fields.get("template", ""), "channel": job.fields["channel"], "to": job.to,
            "language": language, "subject": subject, "text": text, "at": write_time(at),
        }
        os.write(self._file, json.dumps(message, ensure_ascii=False).encode() + b"\n")
        return Answer("sent", message_id=message_id(job.id), at=at)

    def sync(self) -> None:
        os.fsync(self._file)


def message_id(key: str) -> str:
    return f"<{key}@outbox>"
