"""One driver per peer: `python -m bench.peers.NAME WORKLOAD VARIANT=COUNT ...` prints rows.

Services are told by environment: BENCH_DATABASE_URL, BENCH_REDIS_URL (without a database's number),
BENCH_STUB_URL, and their processes by BENCH_DATABASE_PID, BENCH_REDIS_PID and BENCH_STUB_PID. BENCH_FOLDER
is a folder for files. Databases 2 and 3 of Redis are Lemline's, 4 to 7 those of the Celery peers.
"""
