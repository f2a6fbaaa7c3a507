"""Where a job goes: pool and priority to a queue. The only place that knows the queues' names.

Each level of each pool is a queue of its own, on every broker: a broker's own priorities mean opposite things
on Redis and RabbitMQ, are two at most in a quorum queue, and leave no choice to whoever takes from the queue.
"""

from dataclasses import dataclass

from kombu import Exchange, Queue

from lemline_site.config import Config
from workers.pools import THREADS


@dataclass(frozen=True)
class Routing:
    """Names of queues, and what the broker at hand is told of them."""

    namespace: str
    broker: str
    """`redis`, `amqp` or `memory`."""

    levels: int
    queue_type: str = "classic"
    """RabbitMQ's sort of queue: `classic` or `quorum`."""

    def level_of(self, priority: int) -> int:
        """Return the level at which an instance of this priority queues: the last one for what has none of its own."""
        return min(priority, self.levels)

    def queue(self, pool: str, level: int) -> str:
        """Return the name of the queue of a pool's level."""
        return f"{self.namespace}.{self.key(pool, level)}"

    def key(self, pool: str, level: int) -> str:
        """Return the routing key of a pool's level."""
        return f"{pool}.{level}"

    def redis_key(self, pool: str, level: int) -> str:
        """Return the Redis list that holds a pool's messages of one level, as kombu names it."""
        return f"{self.namespace}:{self.queue(pool, level)}"

    def label(self, pool: str, level: int) -> str:
        """Return the name under which what is taken from a queue is reported."""
        return f"{pool}/{level}"

    def labels(self, pool: str) -> list[tuple[int, str]]:
        """Return every level of a pool with its label."""
        return [(level, self.label(pool, level)) for level in range(1, self.levels + 1)]

    def places(self) -> list[tuple[str, int]]:
        """Return every level of every pool."""
        return [(pool, level) for pool in THREADS for level in range(1, self.levels + 1)]

    def queues(self) -> list[Queue]:
        """Return all queues, as Celery declares them."""
        exchange = Exchange(self.namespace, type="direct")
        # A classic queue says nothing of its sort: what was declared by an older RabbitMQ stays equal to it.
        arguments = {"x-queue-type": "quorum"} if self.broker == "amqp" and self.queue_type == "quorum" else {}
        return [
            Queue(self.queue(pool, level), exchange, routing_key=self.key(pool, level), queue_arguments=arguments)
            for pool, level in self.places()
        ]


def routing(config: Config) -> Routing:
    """Return the routing that a configuration asks for."""
    scheme = config.messaging.url.partition(":")[0]
    broker = {"rediss": "redis", "amqps": "amqp"}.get(scheme, scheme)
    ordering = config.execution.prioritization
    levels = ordering.levels if ordering.enabled else 1
    return Routing(config.cluster.namespace, broker, levels, config.messaging.rabbitmq.queue_type)
