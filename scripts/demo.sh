#!/usr/bin/env bash
# The whole main job in a minute: start, seed, simulate, look, reconcile, stop.
# usage: demo.sh PENSTOCK_BINARY      (called by `make demo`)
set -euo pipefail
penstock=$1
here=$(cd "$(dirname "$0")/.." && pwd)
data=$here/data/demo
rate=${DEMO_RATE:-3000}
seconds=${DEMO_SECONDS:-30}
# shellcheck source=scripts/up.sh
. "$here/scripts/up.sh"

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

rm -rf "$data"
mkdir -p "$data"
say "starting everything (data in $data, log in $data/up.log)"
up=
trap '[ -z "$up" ] || stop_up' EXIT
trap 'exit 130' INT TERM
start_up "$penstock" "$data"
cat "$data/up.out"

say "a made-up catalogue: 100 campaigns, 1000 tags"
"$penstock" seed --campaigns 100 --tags 1000

say "the publisher simulator: $rate events a second for $seconds s"
"$penstock" simulate --rate "$rate" --duration "${seconds}s"

say "waiting until all is taken in, and comparing acknowledged, archived, counted and charged"
"$penstock" reconcile --wait 60s

say "counts per type, from ClickHouse"
curl -fsS http://127.0.0.1:8123/ --data-binary \
  "SELECT type, count() AS events, sum(cost_nanos) / 1e9 AS cost FROM penstock.events GROUP BY type ORDER BY events DESC FORMAT PrettyCompactMonoBlock"

say "campaigns that were stopped, and why"
"$penstock" status

say "draining and stopping"
trap - EXIT
kill -TERM "$up"
wait "$up"

cat <<TEXT

All of it stopped again; nothing is left running. To look further:
  make up                                   run it in the foreground, data in ./data
  $penstock up --data $data
  curl 'http://127.0.0.1:8123/?query=SELECT+*+FROM+penstock.stats_minute+LIMIT+10'
  find $data/archive -name '*.avro' | head
  docs/architecture.md, docs/operations.md
While it runs, the panel is at http://127.0.0.1:7080/
TEXT
