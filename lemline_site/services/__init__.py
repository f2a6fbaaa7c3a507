"""PostgreSQL, Redis and RabbitMQ of one's own: for `make up`, for tests and for measuring."""
