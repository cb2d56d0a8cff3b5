"""What operators order by meddela's control topic: whether a job is to wait or
to be ignored."""

from __future__ import annotations

import json

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from contract import now, read_time


class Orders:
    """The last order about each subject. All of the topic is read before the
    first job, and what is new before each look."""

    def __init__(self, brokers: str, client_id: str, topic: str, provider: str):
        self._last = {}
        self._provider = provider
        self._consumer = Consumer({
            "bootstrap.servers": brokers, "client.id": client_id, "enable.metrics.push": False,
            "group.id": client_id,  # the library wants one; nothing is committed
            "enable.auto.commit": False, "isolation.level": "read_committed",
            "enable.partition.eof": True,
        })
        self._consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        while not self._follow(timeout=1):
            pass

    def judge(self, job) -> tuple:
        """Returns kill, pause or nothing for a job, and whether the order is
        about the provider. A kill wins."""
        subjects = [
            "template:" + job.fields.get("template", "").rpartition("@")[0], "type:" + job.fields.get("type", ""),
            "channel:" + job.fields["channel"], "lane:" + job.fields["lane"],
        ]
        actions = {self._action(subject) for subject in subjects}
        for action in ("kill", "pause"):
            if action in actions:
                return action, False
        return self._action("provider:" + self._provider), True

    def look(self) -> None:
        """Reads what has been ordered meanwhile."""
        self._follow(timeout=0)

    def close(self) -> None:
        self._consumer.close()

    def _action(self, subject: str) -> str:
        order = self._last.get(subject)
        if not order or order["action"] == "resume":
            return ""
        until = read_time(order.get("until"))
        return order["action"] if until is None or now() < until else ""

    def _follow(self, timeout: float) -> bool:
        """Reads on, and tells whether the end was reached. Without time to wait it
        reads all that has come: an end in its midst may be an earlier one."""
        while True:
            record = self._consumer.poll(timeout)
            if record is None:
                return False
            error = record.error()
            if not error:
                self._take(record)
            elif error.code() == KafkaError._PARTITION_EOF:
                if timeout:
                    return True
            elif error.fatal() or error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED):
                raise KafkaException(error)

    def _take(self, record) -> None:
        subject = (record.key() or b"").decode(errors="replace")
        try:
            order = json.loads(record.value() or "null")
            good = order is None or order["action"] in ("pause", "resume", "kill") and (read_time(order.get("until")) or True)
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # no order: what is in force stays
        if good:
            self._last[subject] = order
