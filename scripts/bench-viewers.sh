#!/usr/bin/env bash
# What looking costs: the simulator's load alone and with viewers in front of the panel, twice in turn,
# on one running system. Prints the times of the sidecar's answers and of the panel's.
# usage: bench-viewers.sh PENSTOCK VIEWERS_PROGRAM      (called by `make bench-viewers`)
set -euo pipefail
penstock=$1
viewers=$2
rate=${BENCH_RATE:-5000}
seconds=${BENCH_SECONDS:-40}
people=${BENCH_VIEWERS:-200}
data=$(mktemp -d)

"$penstock" up --data "$data" >"$data/up.out" 2>"$data/up.log" &
up=$!
stop() {
  if kill -TERM "$up" 2>/dev/null; then wait "$up" || true; fi
  rm -rf "$data"
}
trap stop EXIT
trap 'exit 130' INT TERM
for _ in $(seq 600); do
  if curl -fsS -o /dev/null http://127.0.0.1:7080/readyz 2>/dev/null; then break; fi
  kill -0 "$up" 2>/dev/null || { cat "$data/up.log" >&2; exit 1; }
  sleep 0.1
done
"$penstock" seed --campaigns 100 --tags 1000
# What has accumulated is looked at too.
"$penstock" simulate --rate "$rate" --duration 20s >/dev/null

for round in 1 2; do
  echo "== round $round: $rate events a second, nobody looks"
  "$penstock" simulate --rate "$rate" --duration "${seconds}s"
  echo "== round $round: $rate events a second, $people people look"
  "$penstock" simulate --rate "$rate" --duration "${seconds}s" >"$data/simulate.out" &
  load=$!
  "$viewers" 127.0.0.1:7080 "$people" "$((seconds - 2))"
  wait "$load"
  cat "$data/simulate.out"
done
"$penstock" reconcile --wait 60s
