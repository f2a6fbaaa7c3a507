"""One driver per peer: `python -m bench.peers.NAME WORKLOAD COUNT` prints one row as JSON in its last line.

Services are told by environment: BENCH_DATABASE_URL, BENCH_REDIS_URL (without a database's number),
BENCH_STUB_URL, and their processes by BENCH_DATABASE_PID and BENCH_REDIS_PID.
"""
