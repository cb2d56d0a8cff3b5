#!/usr/bin/env python3
"""A delivery engine that is not meddela's: reads jobs of a channel, sends them
in its own way, and writes what became of them to the delivery log.

docs/external-engine.md is the contract that it keeps. The order of things is
the guarantee: claim, send, record, write with acks=all, commit.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from dataclasses import dataclass
from datetime import timedelta

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

import contract
import messages
import outbox
from orders import Orders
from store import AGAIN, CLAIMED, FINAL, Known, Store, Taken, may_send


def log(text: str) -> None:
    """Ids and reasons only: never an address or a message."""
    print(f"{contract.write_time(contract.now())} {text}", file=sys.stderr, flush=True)


@dataclass
class Outcome:
    """What became of a job: an entry and, if it is to come again, when."""

    job: contract.Job
    entry: dict
    due: str | None = None


class Unwritten(Exception):
    """Kafka has not acknowledged a record."""


class Topics:
    """Writes records, and knows them written before it returns."""

    def __init__(self, args):
        self.prefix = f"{args.prefix}{args.lane}."
        self.log = self.prefix + "delivery-log"
        self._counts = {}
        self._failed = None
        self._producer = Producer({
            "bootstrap.servers": args.brokers, "client.id": args.client_id, "enable.metrics.push": False,
            "acks": "all", "enable.idempotence": True, "linger.ms": 5,
            "message.max.bytes": 3_000_000,  # a job may have 2 MiB
        })

    def put(self, topic: str, partition: int, key, value, headers: list) -> None:
        self._producer.produce(topic, value, key, partition % self._count(topic), self._written, headers=headers)

    def flush(self) -> None:
        """Waits until all that was put is acknowledged. Raises Unwritten."""
        self._producer.flush()
        if self._failed:
            raise Unwritten(self._failed)

    def _count(self, topic: str) -> int:
        if topic not in self._counts:
            found = self._producer.list_topics(topic, timeout=30).topics[topic]
            if found.error:
                raise Unwritten(f"{topic}: {found.error}")
            self._counts[topic] = len(found.partitions)
        return self._counts[topic]

    def _written(self, error, record) -> None:
        if error:
            self._failed = f"{record.topic()}: {error}"


class Engine:
    def __init__(self, args):
        self.args = args
        self.stopping = False
        self.store = Store(os.path.join(args.dir, "jobs.sqlite"))
        self.provider = outbox.Outbox(os.path.join(args.dir, args.outbox), args.send_seconds)
        self.topics = Topics(args)
        self.jobs = self.topics.prefix + "jobs"
        self.orders = Orders(args.brokers, args.client_id, args.prefix + "control", outbox.NAME)
        # The group of meddela's own deliverers of the channel: it goes on where
        # they have stopped, and a job never goes to both.
        self.consumer = Consumer({
            "bootstrap.servers": args.brokers, "client.id": args.client_id, "enable.metrics.push": False,
            "group.id": f"{self.topics.prefix}deliver.{args.channel}",
            "partition.assignment.strategy": "range",
            "enable.auto.commit": False, "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest", "isolation.level": "read_committed",
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
        })

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        log(f"forgot {self.store.forget()} old jobs")
        self.consumer.subscribe([self.jobs])
        try:
            while not self.stopping:
                batch = [r for r in self.consumer.consume(num_messages=self.args.batch, timeout=0.2) if is_record(r)]
                if batch:
                    self.handle(batch)
                    self.commit(batch)
        finally:
            self.consumer.close()
            self.orders.close()
            self.store.close()
        log("stopped")

    def _stop(self, *_) -> None:
        self.stopping = True

    def handle(self, batch: list) -> None:
        """Brings every record of a batch to an entry that is written."""
        for jobs in rounds(self.read(batch)):
            self.deliver(jobs)
        self.topics.flush()

    def read(self, batch: list):
        """Yields the jobs of the channel; keeps as dead letters what is none."""
        for record in batch:
            headers = record.headers() or []
            if dict(headers).get("x-channel", self.args.channel.encode()) != self.args.channel.encode():
                continue
            try:
                job = contract.read_job(record.value(), record.key(), headers, record.partition())
            except contract.NoJob as why:
                self.keep(record, headers, str(why))
                continue
            if job.fields["channel"] == self.args.channel:
                yield job

    def deliver(self, jobs: list) -> None:
        """Delivers different jobs: claim, send, record, write."""
        self.orders.look()
        jobs = [job for job in jobs if not self.paused(job)]
        known = self.store.claim(jobs)
        self.take_over([job for job in jobs if known[job.id] and known[job.id].state == CLAIMED], known)
        outcomes = []
        for job in jobs:
            if may_send(job, known[job.id]):
                outcomes.append(self.attempt(job))
            else:
                self.repeat(job, known[job.id])
        self.provider.sync()
        self.store.settle(outcomes)
        for o in outcomes:
            self.write(o.job, o.entry, o.job.trace(), o.due, o.job.attempt)

    def paused(self, job: contract.Job) -> bool:
        """Puts a job aside, unclaimed, if an operator's order pauses it."""
        action, about_provider = self.orders.judge(job)
        if action != "pause":
            return False
        headers = [h for h in job.headers if h[0] not in contract.WAITING]
        if about_provider:
            headers.append(("x-paused-providers", outbox.NAME.encode()))
        self.topics.put(self.topics.prefix + "delay.paused", job.partition, job.key, job.value, headers)
        self.topics.put(self.topics.log, job.partition, job.event_id.encode(), contract.write(contract.entry(job, "pending_delivery", "paused")), job.trace())
        return True

    def take_over(self, jobs: list, known: dict) -> None:
        """Records of jobs that an engine had when it died which of them the
        provider has accepted. The others it has not, and they are sent."""
        accepted = self.provider.find({job.id for job in jobs})
        if jobs:
            log(f"{len(jobs)} jobs were being sent when an engine died: the provider has {len(accepted)} of them")
        outcomes = []
        for job in jobs:
            if job.id in accepted:
                at, message_id = contract.read_time(accepted[job.id]), outbox.message_id(job.id)
                entry = contract.entry(job, "sent", provider=outbox.NAME, message_id=message_id, at=at)
                outcomes.append(Outcome(job, entry))
                known[job.id] = Known(job.id, job.attempt, FINAL, job.partition, entry, job.trace(), None)
        self.store.settle(outcomes)

    def attempt(self, job: contract.Job) -> Outcome:
        """Sends a job that is claimed, or says why not."""

        def ended(status: str, reason: str, detail: str = "", **more) -> Outcome:
            return Outcome(job, contract.entry(job, status, reason, detail, **more))

        if job.not_before and job.not_before > contract.now():  # this clock is behind
            return Outcome(job, contract.entry(job, "pending_delivery", "scheduled"), contract.write_time(job.not_before))
        if not job.to:
            return ended("ignored", "missing_address")
        if self.orders.judge(job)[0] == "kill":
            return ended("ignored", "killed")
        if not plausible(job):
            return ended("ignored", "invalid_address", "is no address")
        try:
            subject, text, language = messages.render(job)
        except messages.MissingData as why:
            return ended("delivery_error", "missing_data", str(why))
        except messages.NoWords as why:
            return ended("delivery_error", "template_missing", str(why))
        if job.expires and job.expires <= contract.now():
            return ended("expired", "expired")
        answer = self.provider.send(job, subject, text, language)
        if answer.for_now:
            return self.later(job, answer)
        return ended(answer.status, answer.reason, answer.detail, provider=outbox.NAME, message_id=answer.message_id, at=answer.at)

    def later(self, job: contract.Job, answer) -> Outcome:
        """Plans the next attempt of a job that failed for now, if there is one
        before it expires."""
        waits = self.args.retry
        if job.attempt <= len(waits):
            due = contract.now() + timedelta(seconds=waits[job.attempt - 1])
            if not job.expires or due < job.expires:
                entry = contract.entry(job, answer.status, answer.reason, answer.detail, provider=outbox.NAME)
                return Outcome(job, entry, contract.write_time(due))
        reason = "retries_exhausted" if answer.reason == "transient" else answer.reason
        return Outcome(job, contract.entry(job, "delivery_error", reason, answer.detail, provider=outbox.NAME))

    def repeat(self, job: contract.Job, known) -> None:
        """Writes again what was written about a job that came again."""
        self.write(job, known.entry, known.trace, known.due if known.state == AGAIN else None, known.attempt)

    def write(self, job: contract.Job, entry: dict, trace: list, due: str | None, attempt: int) -> None:
        if due:
            headers = [h for h in job.headers if h[0] not in contract.WAITING]
            headers += [("x-due", due.encode()), ("x-target-topic", self.jobs.encode())]
            wait = (contract.read_time(due) - contract.now()).total_seconds()
            self.topics.put(self.topics.prefix + "delay." + contract.tier_for(wait), job.partition, job.key, job.again(attempt + 1), headers)
        self.topics.put(self.topics.log, job.partition, job.event_id.encode(), contract.write(entry), trace)

    def keep(self, record, headers: list, why: str) -> None:
        """Keeps a record that is no job as a dead letter."""
        log(f"no job: {record.topic()}/{record.partition()}/{record.offset()}: {why}")
        about = {
            "x-original-topic": record.topic(), "x-original-partition": record.partition(), "x-original-offset": record.offset(),
            "x-reason": "invalid", "x-error": why, "x-role": "deliver", "x-attempts": 1,
            "x-failed-at": contract.write_time(contract.now()), "x-redrives": (dict(headers).get("x-redrives") or b"0").decode(),
        }
        kept = [h for h in headers if h[0] not in about] + [(name, str(value).encode()) for name, value in about.items()]
        self.topics.put(self.topics.prefix + "dead-letters", record.partition(), record.key(), record.value(), kept)

    def commit(self, batch: list) -> None:
        """Commits a batch whose entries are all written. That another process
        has the partitions by now does no harm: it finds every job known."""
        ends = {}
        for r in batch:
            ends[r.partition()] = r.offset() + 1
        try:
            self.consumer.commit(offsets=[TopicPartition(self.jobs, p, end) for p, end in ends.items()], asynchronous=False)
        except KafkaException as error:
            log(f"not committed, and to be read again: {error}")


LASTING = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.INCONSISTENT_GROUP_PROTOCOL)


def is_record(r) -> bool:
    error = r.error()
    if error and (error.fatal() or error.code() in LASTING):
        raise KafkaException(error)
    if error:
        log(f"reading: {error}")
    return not error


def rounds(jobs):
    """Yields lists of jobs in order, none of which has a job twice."""
    some = {}
    for job in jobs:
        if job.id in some:
            yield list(some.values())
            some = {}
        some[job.id] = job
    if some:
        yield list(some.values())


ADDRESSES = {"email": r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", "sms": r"\+[0-9 ]{7,20}"}


def plausible(job: contract.Job) -> bool:
    form = ADDRESSES.get(job.fields["channel"])
    return not form or re.fullmatch(form, job.to) is not None


def bounce(args) -> int:
    """Says of messages that were sent that they came back."""
    store, unknown = Store(os.path.join(args.dir, "jobs.sqlite"), exclusive=False), 0
    topics = Topics(args)
    for event_id in args.event_id:
        sent = store.sent(event_id)
        if not sent:
            log(f"{event_id} was not sent")
            unknown += 1
            continue
        # The same redrive and attempt, at which delivery_error outranks sent.
        entry = dict(sent.entry, status="delivery_error", reason=args.reason, at=contract.write_time(args.at or contract.now()))
        if args.detail:
            entry["detail"] = args.detail
        topics.put(topics.log, sent.partition, event_id.encode(), contract.write(entry), sent.trace)
    topics.flush()
    return 1 if unknown else 0


def arguments() -> argparse.Namespace:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--brokers", required=True, help="host:port, separated by commas")
    shared.add_argument("--prefix", default="meddela.", help="of the topics' names")
    shared.add_argument("--lane", required=True, choices=("realtime", "batch"))
    shared.add_argument("--dir", default=".", help="where the engine keeps what it knows of jobs")
    shared.add_argument("--client-id", default="engine")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", parents=[shared], help="deliver a channel's jobs, until SIGTERM")
    run.add_argument("--channel", required=True, choices=("email", "sms", "push", "webhook"))
    run.add_argument("--outbox", default="outbox.jsonl", help="the file in --dir that messages are written to")
    run.add_argument("--retry", type=lambda text: [float(s) for s in text.split(",")], default=[10, 60, 600, 3600], metavar="SECONDS,…", help="waits before attempts 2, 3, …")
    run.add_argument("--batch", type=int, default=500, help="how many jobs are read at once")
    run.add_argument("--send-seconds", type=float, default=0, help="how long the outbox takes for a message")
    back = commands.add_parser("bounce", parents=[shared], help="say that messages came back")
    back.add_argument("event_id", nargs="+")
    back.add_argument("--reason", required=True, choices=("invalid_address", "provider_rejected"), help="the address does not exist, or its server did not take the message")
    back.add_argument("--at", type=contract.read_time, help="when: RFC 3339; default now")
    back.add_argument("--detail", help="such as the server's code; never an address")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    try:
        if args.command == "bounce":
            return bounce(args)
        Engine(args).run()
    except (Unwritten, Taken, KafkaException) as error:
        log(f"stopped: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
