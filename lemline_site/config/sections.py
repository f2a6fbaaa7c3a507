"""What can be set: one frozen dataclass per key family, one field per key.

A field `max_lifetime` of the section `database` is the key `lemline.database.max-lifetime` and the
variable `LEMLINE_DATABASE_MAX_LIFETIME`. The text below a field is its entry in docs/configuration.md.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from lemline_site.config.cache_sections import Cache, HttpCache
from lemline_site.config.event_sections import EventProcessor, Events
from lemline_site.config.jvm_sections import Jvm
from lemline_site.config.scaling_sections import Autoscaling, Metrics
from lemline_site.config.schedule_sections import Schedules
from lemline_site.config.values import Bytes

_KIB, _MIB, _GIB = 1024, 1024**2, 1024**3


@dataclass(frozen=True, kw_only=True)
class Database:
    """Where everything is remembered."""

    url: str = "sqlite:///lemline.db"
    """`postgresql://user:password@host:5432/name`, or `sqlite:///file` for one process. `jdbc:` before it is
    skipped."""

    application_name: str = "lemline"
    """How connections are named in `pg_stat_activity`."""

    connect_timeout: timedelta = timedelta(seconds=5)
    """How long to wait for a connection before the database counts as away."""

    max_lifetime: timedelta | None = None
    """Age at which a connection is replaced between two uses. Nothing: as long as it works, which is fastest;
    set it where a proxy or a load balancer ends connections by age."""

    query_timeout: timedelta = timedelta(seconds=30)
    """PostgreSQL's `statement_timeout`: a statement that takes longer is given up and its step taken again."""

    lock_timeout: timedelta = timedelta(seconds=10)
    """PostgreSQL's `lock_timeout`. Steps skip what is locked; this bounds the few that wait."""

    idle_in_transaction_timeout: timedelta | None = None
    """PostgreSQL's `idle_in_transaction_session_timeout`: a process that stopped in a step frees its rows before
    others take its work over. Default: a third of `lemline.execution.lease`; at most half of it."""

    transaction_isolation: Literal["READ_COMMITTED", "REPEATABLE_READ", "SERIALIZABLE"] = "READ_COMMITTED"
    """Isolation of transactions. Steps hold the locks that they need, so the weakest one is right."""

    busy_timeout: timedelta = timedelta(seconds=10)
    """SQLite only: how long a writer waits for another one."""


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """How jobs are taken."""

    max_batch: int = 64
    """Activities that became ready in one commit for one pool and priority and travel in one message, at most."""


@dataclass(frozen=True, kw_only=True)
class RabbitMQ:
    """What is special about RabbitMQ."""

    queue_type: Literal["classic", "quorum"] = "classic"
    """`classic` queues live on one node and are the fastest; `quorum` queues are kept by several nodes of a cluster.
    Queues that exist keep their sort: to change it, stop the workers and delete them; what waited is rung again."""


@dataclass(frozen=True, kw_only=True)
class BackPressure:
    """When starts are refused (429 with `Retry-After`). What runs goes on, its children and its retries too."""

    enabled: bool = True
    """Refuse at all."""

    max_outstanding_requests: int = 100_000
    """Instances with work open, queued or running, on all nodes together, from which on none is started. Starts are
    taken again below four fifths of it."""

    max_request_rate: int | None = None
    """Starts per second, on all nodes that share `lemline.cache.url` together. Nothing: any number."""


@dataclass(frozen=True, kw_only=True)
class Messaging:
    """The broker: it rings pools; what it loses is rung again."""

    url: str = "memory://"
    """`redis://host:6379/0`, `amqp://user:password@host:5672/vhost`, or `memory://` for everything in one process."""

    visibility_timeout: timedelta = timedelta(minutes=15)
    """Redis: a message that was taken and not acknowledged for so long is delivered again. Longer than the longest
    activity saves double deliveries; those that happen do no harm."""

    connections: int = 10
    """Connections to the broker that a process keeps for publishing."""

    consumer_group: str = "lemline"
    """Bridges that take events from a broker share what comes with all of the same group, and each group hears of
    everything: two installations on one stream need different ones."""

    consumer: Consumer = field(default_factory=Consumer)
    rabbitmq: RabbitMQ = field(default_factory=RabbitMQ)
    back_pressure: BackPressure = field(default_factory=BackPressure)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """This node among others."""

    node_id: str = ""
    """Name of this node in history, admin and Flower. Default: the host's name."""

    namespace: str = "lemline"
    """Prefix of every key in Redis. Clusters that share a broker need different ones."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """How much of one sort of work a worker process does at the same time."""

    max_size: int = 32
    """Activities at the same time, per process."""


@dataclass(frozen=True, kw_only=True)
class Pools:
    """A pool per sort of work: `http` calls, `compute` for scripts and functions, `io` for the rest that waits."""

    http: Pool = field(default_factory=lambda: Pool(max_size=256))
    compute: Pool = field(default_factory=lambda: Pool(max_size=8))
    io: Pool = field(default_factory=lambda: Pool(max_size=128))
    maintenance: Pool = field(default_factory=lambda: Pool(max_size=2))


@dataclass(frozen=True, kw_only=True)
class Prioritization:
    """Order among jobs of a pool. Level 1 is the most urgent."""

    enabled: bool = True
    """Whether levels have queues of their own. Without it, all jobs of a pool are done in the order in which they came.
    The same on every node: workers serve the queues that they know of."""

    levels: int = 5
    """Number of levels."""

    default_level: int = 3
    """Level of an instance that names none."""

    aging_interval: int = 16
    """One of so many messages that a process takes, and one of so many activities that it begins from those waiting
    in it, is the oldest of a level that others would be taken before; the levels take turns. So nothing starves, and
    at most a sixteenth of the work is done out of order. Smaller: less order, shorter waits."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """How long a worker goes on where it stands before others get their turn, with `continuation=auto`."""

    tasks: int = 50
    """Activities of one instance in a row."""

    http: timedelta = timedelta(seconds=1)
    """Since the message was begun, for a next activity of this pool: what waits for others holds no core."""

    compute: timedelta = timedelta(milliseconds=50)
    """The same: short, since others wait for the core."""

    io: timedelta = timedelta(seconds=1)
    """The same."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How instances are carried forward."""

    continuation: Literal["off", "auto"] = "off"
    """`auto`: an activity whose pool this worker serves is begun where the one before it ended, after its commit and
    without a message, unless something more urgent waits. Quicker for single instances; `off` spreads the work of
    an instance over all workers, each activity a job of its own."""

    slice: Slice = field(default_factory=Slice)

    lease: timedelta = timedelta(seconds=30)
    """How long a process may be silent before its work is given to others. Processes are heard of every third of it."""

    grace: timedelta = timedelta(seconds=25)
    """How long running activities may still take when a worker is told to stop. Shorter than what the one who stops
    it grants."""

    max_recoveries: int = 3
    """Processes that may die of one activity before its instance is given up as a dead letter. At least 3: of the first
    two, another may have been the cause."""

    pools: Pools = field(default_factory=Pools)
    prioritization: Prioritization = field(default_factory=Prioritization)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is refused for its size. The answer names the key."""

    definition: Bytes = Bytes(_MIB)
    """A definition's text."""

    input: Bytes = Bytes(8 * _MIB)
    """The input of an instance."""

    event: Bytes = Bytes(_MIB)
    """A CloudEvent in JSON format."""

    events: int = 10_000
    """CloudEvents of one request."""

    event_batch: Bytes = Bytes(32 * _MIB)
    """The body of a request with several of them."""

    response: Bytes = Bytes(16 * _MIB)
    """The body of an HTTP response. Above, the call fails with a `communication` problem."""

    output: Bytes = Bytes(16 * _MIB)
    """What a script or a command may write to each of its outputs."""


@dataclass(frozen=True, kw_only=True)
class History:
    """What is recorded besides the state, in the transaction of the step."""

    level: Literal["off", "activities", "tasks"] = "tasks"
    """`tasks`: every task that ended. `activities`: those that ran outside the engine. Phases are always recorded."""

    max_value: Bytes = Bytes(64 * _KIB)
    """Inputs and outputs above are recorded by their size only."""


@dataclass(frozen=True, kw_only=True)
class Http:
    """Calls of HTTP services."""

    timeout: timedelta = timedelta(seconds=60)
    """The whole call, redirects included, where no `timeout` of the workflow is shorter."""

    connect_timeout: timedelta = timedelta(seconds=10)
    """Looking up the name and connecting."""

    max_per_host: int = 64
    """Connections of one process to one host and port. Calls beyond wait for one to be free."""

    private_addresses: tuple[str, ...] = ()
    """Which addresses that are not public workflows may reach: networks (`10.0.0.0/8`), `loopback`, or `all`. Empty:
    none, so that a definition cannot ask the services beside the workers."""

    user_agent: str = "lemline"
    """What calls say they are, unless the workflow says otherwise."""

    cache: HttpCache = field(default_factory=HttpCache)


@dataclass(frozen=True, kw_only=True)
class Expressions:
    """jq programs that may not end run in helper processes with these limits."""

    timeout: timedelta = timedelta(seconds=2)
    """CPU and wall time of one evaluation."""

    memory: Bytes = Bytes(512 * _MIB)
    """Memory of a helper process."""

    helpers: int = 2
    """Helper processes per worker process, started when they are first needed."""


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Scripts and shell commands: child processes with an emptied environment."""

    timeout: timedelta = timedelta(minutes=5)
    """The whole run, where no `timeout` of the workflow is shorter."""

    memory: Bytes = Bytes(_GIB)
    """Address space of a child."""

    python: str = ""
    """Interpreter for `run: script` of `python`. Default: the one that runs the worker."""

    node: str = "node"
    """Interpreter for `run: script` of `js`. Without it, scripts run in the embedded V8."""


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """Where the values of secrets come from. They are read when needed and never stored."""

    directory: str = ""
    """A folder with a file per secret, as Kubernetes and Docker mount them. Asked first."""

    env_prefix: str = "LEMLINE_SECRET_"
    """Variables that hold secrets: `$secrets.stripe` is `LEMLINE_SECRET_STRIPE`."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """How strictly definitions are read."""

    strict: bool = False
    """Refuse older and foreign spellings instead of rewriting them with a warning."""


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """Instances and definitions."""

    auto_cleanup: bool = True
    """Have maintenance processes remove what is older than `cleanup-after`, `lemline.events.retention` and
    `lemline.audit.retention`. Otherwise `lemline admin cleanup` does it."""

    cleanup_after: timedelta = timedelta(days=7)
    """How long an instance is kept after its end, with its history and its idempotency key. Until then what faulted or
    was cancelled can be retried."""

    event_correlation_ttl: timedelta = timedelta(hours=1)
    """How long a received event is kept for a `listen` with `correlate` that begins later."""

    validation: Validation = field(default_factory=Validation)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Who did what, and why."""

    retention: timedelta = timedelta(days=90)
    """How long entries are kept."""


@dataclass(frozen=True, kw_only=True)
class Web:
    """The HTTP server."""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` for every one, as in a container."""

    port: int = 8080
    """Port to listen on."""

    processes: int = 1
    """Processes that answer requests."""

    threads: int = 16
    """Requests at the same time, per process. A request that waits for an instance's end holds one."""

    allowed_hosts: tuple[str, ...] = ("*",)
    """Names that this server answers to."""

    trusted_origins: tuple[str, ...] = ()
    """Origins that may send forms to the admin, when a proxy changes scheme or port: `https://lemline.example.com`."""

    secure: bool = False
    """Cookies over HTTPS only, and `X-Forwarded-Proto` of the proxy in front believed."""


@dataclass(frozen=True, kw_only=True)
class Log:
    """What processes write to standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least that is written. Data of workflows is written at `DEBUG` only, values of secrets never."""

    format: Literal["text", "json"] = "text"
    """`text` for people, `json` one object per line for collectors."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything, as it was when the process started."""

    preset: Literal["none", "low", "medium", "high"] = "none"
    """Defaults for a size of installation; every key still has its own say."""

    data_dir: str = ".lemline"
    """Folder for what this machine keeps: the generated secret key, and the services that `make up` starts."""

    secret_key: str = ""
    """Signs sessions and marks of secrets. The same on every node; generated into the data folder when unset."""

    activities: tuple[str, ...] = ()
    """Python modules to import for their registered functions, besides the entry points `lemline.activities`."""

    database: Database = field(default_factory=Database)
    messaging: Messaging = field(default_factory=Messaging)
    cache: Cache = field(default_factory=Cache)
    cluster: Cluster = field(default_factory=Cluster)
    execution: Execution = field(default_factory=Execution)
    workflow: Workflow = field(default_factory=Workflow)
    events: Events = field(default_factory=Events)
    event_processor: EventProcessor = field(default_factory=EventProcessor)
    schedules: Schedules = field(default_factory=Schedules)
    audit: Audit = field(default_factory=Audit)
    history: History = field(default_factory=History)
    http: Http = field(default_factory=Http)
    expressions: Expressions = field(default_factory=Expressions)
    processes: Processes = field(default_factory=Processes)
    jvm: Jvm = field(default_factory=Jvm)
    metrics: Metrics = field(default_factory=Metrics)
    autoscaling: Autoscaling = field(default_factory=Autoscaling)
    secrets: Secrets = field(default_factory=Secrets)
    limits: Limits = field(default_factory=Limits)
    web: Web = field(default_factory=Web)
    log: Log = field(default_factory=Log)
