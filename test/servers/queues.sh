# What the tests of the outbox start by themselves: Redis, PostgreSQL, and Spin with a C compiler. Sourced by install.sh.

queues_missing() {
  command -v redis-server >/dev/null || echo "package redis-server"
  compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null || echo "package postgresql"
  command -v spin >/dev/null || echo "package spin"
  command -v cc >/dev/null || echo "package gcc"
}
