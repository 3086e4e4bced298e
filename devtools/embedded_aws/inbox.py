"""A queue subscribed to a topic: what the topic tells, for tests and the demo to read."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devtools.embedded_aws.server import EmbeddedAws


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """A queue of one topic.

    Attributes:
        sqs: A client of the queue's Region.
        queue: The queue's address.
    """

    sqs: Any = field(repr=False)
    queue: str

    @classmethod
    def of(cls, aws: EmbeddedAws, topic_arn: str) -> Inbox:
        """Subscribe a new queue to a topic, in the topic's Region."""
        region = topic_arn.split(":")[3]
        sqs = aws.client("sqs", region=region)
        queue: str = sqs.create_queue(QueueName=f"inbox-{uuid.uuid4().hex}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]}
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
        aws.client("sns", region=region).subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)
        return cls(sqs=sqs, queue=queue)

    def take(self, *, seconds: int = 1) -> list[Any]:
        """Take the messages that have come, read as JSON; wait so long for the first."""
        answer = self.sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=seconds, MaxNumberOfMessages=10)
        found = answer.get("Messages", [])
        for each in found:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=each["ReceiptHandle"])
        return [json.loads(json.loads(each["Body"])["Message"]) for each in found]
