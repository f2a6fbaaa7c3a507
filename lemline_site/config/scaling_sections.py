"""What can be set about watching the load and answering to it, as in `sections.py`."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class AutoscalingSeries:
    """Series of `/metrics` that autoscalers go by."""

    enabled: bool = True
    """Whether `/metrics` shows any of them."""

    workflow_queue_length: bool = True
    """`lemline_workflow_queue_length`: instances that have not begun, and messages that wait for a worker."""

    event_queue_length: bool = True
    """`lemline_event_queue_length`: events that were accepted and have not been looked at."""

    active_workflows: bool = True
    """`lemline_active_workflows`: instances that are worked on, by workflow."""


@dataclass(frozen=True, kw_only=True)
class ScalingMetrics:
    """Looks at the load of the whole cluster."""

    enabled: bool = True
    """Whether the load is looked at. Without it there are no series of it, no triggers and no wishes for workers."""

    collection_interval: timedelta = timedelta(seconds=15)
    """Time between looks, by whichever process does it."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What is measured."""

    autoscaling: AutoscalingSeries = field(default_factory=AutoscalingSeries)
    scaling: ScalingMetrics = field(default_factory=ScalingMetrics)


@dataclass(frozen=True, kw_only=True)
class Triggers:
    """Loads above which something must be done. Each tells once, and again only after it was clearly below."""

    workflow_queue_threshold: int = 100
    """Instances and messages that wait. Also how many messages of a pool one worker process is wanted for."""

    event_queue_threshold: int = 500
    """Events that wait."""

    latency_threshold: timedelta = timedelta(seconds=5)
    """Time from start to end that 95 of 100 of the instances took that ended within the last five minutes."""


@dataclass(frozen=True, kw_only=True)
class Autoscaling:
    """What is told when the load asks for more workers, or fewer."""

    triggers: Triggers = field(default_factory=Triggers)

    clear_percent: int = 80
    """A trigger is cleared when its load has come down to this much of the threshold."""

    cooldown: timedelta = timedelta(minutes=5)
    """Time for which fewer workers must have been enough before fewer are wanted, and before a trigger tells again."""

    min_replicas: int = 1
    """Worker processes per pool that are wanted at least."""

    max_replicas: int = 10
    """And at most."""

    webhook: str = ""
    """URL to which a trigger is also told, as JSON by POST."""
