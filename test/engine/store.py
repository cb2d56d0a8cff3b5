"""What the engine knows of each job, so that it sends it once.

Here it is SQLite, for one process. An engine of several processes keeps the
same table in a database that they share, and adds to a claim who has it and
until when.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
import time
from dataclasses import dataclass

# A claimed job may have been sent or not. A job that failed for now is to come
# again with the next attempt. A final one is not sent any more.
CLAIMED, AGAIN, FINAL = "claimed", "again", "final"

# Jobs can be read again for as long as their topic keeps them (7 days and a
# segment); bounces may come later than that.
KEEP_DAYS = 30

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    job_id    TEXT PRIMARY KEY,
    event_id  TEXT NOT NULL,
    attempt   INTEGER NOT NULL,
    state     TEXT NOT NULL,
    partition INTEGER NOT NULL,
    entry     TEXT, -- the entry that was written, to write the same again
    trace     TEXT, -- its headers
    due       TEXT, -- of the next attempt
    changed   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS jobs_by_event ON jobs (event_id);
CREATE INDEX IF NOT EXISTS jobs_by_age ON jobs (changed);
"""


@dataclass
class Known:
    """A job's row."""

    job_id: str
    attempt: int
    state: str
    partition: int
    entry: dict | None
    trace: list
    due: str | None


class Taken(Exception):
    """Another process has the store."""


class Store:
    def __init__(self, path: str, exclusive: bool = True):
        if exclusive:
            self._lock = open(path + ".lock", "w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go when the process dies
            except BlockingIOError:
                raise Taken(f"another engine runs with {path}") from None
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA)

    def claim(self, jobs: list) -> dict:
        """Claims those of the jobs that are to be sent now, in one durable
        transaction, and returns by id what was known of each before."""
        known = {}
        with self._transaction():
            for job in jobs:
                before = self._get("job_id = ?", job.id)
                known[job.id] = before[0] if before else None
                if may_send(job, known[job.id]):
                    self._db.execute(
                        "INSERT OR REPLACE INTO jobs (job_id, event_id, attempt, state, partition, changed) VALUES (?, ?, ?, ?, ?, ?)",
                        (job.id, job.event_id, job.attempt, CLAIMED, job.partition, int(time.time())),
                    )
        return known

    def settle(self, outcomes: list) -> None:
        """Records what became of claimed jobs, in one durable transaction."""
        with self._transaction():
            for o in outcomes:
                self._db.execute(
                    "UPDATE jobs SET state = ?, entry = ?, trace = ?, due = ?, changed = ? WHERE job_id = ?",
                    (AGAIN if o.due else FINAL, json.dumps(o.entry), json.dumps([[k, v.decode()] for k, v in o.job.trace()]), o.due, int(time.time()), o.job.id),
                )

    def sent(self, event_id: str) -> Known | None:
        """The job of an event that was sent, redriven most often."""
        found = [k for k in self._get("event_id = ?", event_id) if k.entry and k.entry["status"] == "sent"]
        return max(found, key=lambda k: k.entry.get("redrives", 0), default=None)

    def forget(self) -> int:
        """Forgets old jobs, and returns how many."""
        return self._db.execute("DELETE FROM jobs WHERE changed < ?", (int(time.time()) - KEEP_DAYS * 86400,)).rowcount

    def close(self) -> None:
        self._db.close()

    def _get(self, where: str, value: str) -> list:
        rows = self._db.execute(f"SELECT job_id, attempt, state, partition, entry, trace, due FROM jobs WHERE {where}", (value,))
        return [Known(*row[:4], json.loads(row[4] or "null"), [(k, v.encode()) for k, v in json.loads(row[5] or "[]")], row[6]) for row in rows]

    def _transaction(self):
        return _Transaction(self._db)


class _Transaction:
    def __init__(self, db):
        self._db = db

    def __enter__(self):
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind, *_):
        self._db.execute("ROLLBACK" if kind else "COMMIT")


def may_send(job, known: Known | None) -> bool:
    """Whether a job is to be sent, by what is known of it. One that is claimed
    already, by a process that died, is: after the provider was asked."""
    if known is None or known.state == CLAIMED:
        return True
    return known.state == AGAIN and job.attempt > known.attempt
