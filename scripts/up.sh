# Sourced by scripts that need a whole system for a while.
# start_up PENSTOCK DATA [OPTION…]: starts `penstock up` and waits until it is ready. It is `$up`; its output is in
# DATA/up.out and DATA/up.log. stop_up ends it, and waits.
# shellcheck shell=bash

start_up() {
  local penstock=$1 data=$2
  "$penstock" up --data "$data" "${@:3}" >"$data/up.out" 2>"$data/up.log" &
  up=$!
  for _ in $(seq 600); do
    if curl -fsS -o /dev/null http://127.0.0.1:7080/readyz 2>/dev/null; then return; fi
    if ! kill -0 "$up" 2>/dev/null; then
      echo "penstock ended while starting:" >&2
      tail -n 20 "$data/up.log" "$data/up.out" >&2
      exit 1
    fi
    sleep 0.1
  done
}

stop_up() {
  if kill -TERM "$up" 2>/dev/null; then wait "$up" || true; fi
}
