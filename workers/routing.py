"""Where a job goes: pool and priority to a queue and the broker's own numbers. The only place that knows them."""

from dataclasses import dataclass

from kombu import Exchange, Queue

from lemline_site.config import Config
from workers.pools import THREADS


@dataclass(frozen=True)
class Routing:
    """Names of queues, and what a priority level is called on the broker at hand."""

    namespace: str
    broker: str
    """`redis`, `amqp` or `memory`."""

    levels: int

    def queue(self, pool: str) -> str:
        """Return the name of a pool's queue."""
        return f"{self.namespace}.{pool}"

    def priority(self, level: int) -> int:
        """Return the broker's number of a level: 0 is first on Redis and last on RabbitMQ."""
        return level - 1 if self.broker == "redis" else self.levels - level

    def redis_key(self, pool: str, level: int) -> str:
        """Return the Redis list that holds a pool's messages of one level, as kombu names it."""
        suffix = "" if level == 1 else f":{level - 1}"
        return f"{self.namespace}:{self.queue(pool)}{suffix}"

    def label(self, pool: str, level: int) -> str:
        """Return the name under which what is taken from a queue is reported."""
        return f"{pool}/{level}"

    def labels(self, pool: str) -> list[tuple[int, str]]:
        """Return every level of a pool with its label."""
        return [(level, self.label(pool, level)) for level in range(1, self.levels + 1)]

    def queues(self) -> list[Queue]:
        """Return all queues, as Celery declares them."""
        arguments = {"x-max-priority": self.levels} if self.broker == "amqp" else {}
        return [
            Queue(
                self.queue(pool), Exchange(self.namespace, type="direct"), routing_key=pool, queue_arguments=arguments
            )
            for pool in THREADS
        ]


def routing(config: Config) -> Routing:
    """Return the routing that a configuration asks for."""
    scheme = config.messaging.url.partition(":")[0]
    broker = {"rediss": "redis", "amqps": "amqp"}.get(scheme, scheme)
    return Routing(config.cluster.namespace, broker, config.execution.prioritization.levels)
