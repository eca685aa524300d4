#!/usr/bin/env bash
# What looking costs: the simulator's load alone and with viewers in front of the panel, twice in turn,
# on one running system whose engine and panel run when nobody else wants the processor (BENCH_NICE=10 for
# the default). Prints the times of the sidecar's answers and of the panel's.
# usage: bench-viewers.sh PENSTOCK VIEWERS_PROGRAM      (called by `make bench-viewers`)
set -euo pipefail
penstock=$1
viewers=$2
rate=${BENCH_RATE:-5000}
seconds=${BENCH_SECONDS:-40}
people=${BENCH_VIEWERS:-200}
data=$(mktemp -d)
# shellcheck source=scripts/up.sh
. "$(dirname "$0")/up.sh"

up=
stop() {
  [ -z "$up" ] || stop_up
  rm -rf "$data"
}
trap stop EXIT
trap 'exit 130' INT TERM
printf '[engine]\nnice = %s\n[panel]\nnice = %s\n' "${BENCH_NICE:-20}" "${BENCH_NICE:-20}" >"$data/up.toml"
start_up "$penstock" "$data" --config "$data/up.toml"
"$penstock" seed --campaigns 100 --tags 1000
# What has accumulated is looked at too.
"$penstock" simulate --rate "$rate" --duration 20s >/dev/null

for round in 1 2; do
  echo "== round $round: $rate events a second, nobody looks"
  "$penstock" simulate --rate "$rate" --batch 10 --duration "${seconds}s"
  echo "== round $round: $rate events a second, $people people look"
  "$penstock" simulate --rate "$rate" --batch 10 --duration "${seconds}s" >"$data/simulate.out" &
  load=$!
  "$viewers" 127.0.0.1:7080 "$people" "$((seconds - 2))"
  wait "$load"
  cat "$data/simulate.out"
done
"$penstock" reconcile --wait 60s
