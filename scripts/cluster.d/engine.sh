# The local ClickHouse engine, which `penstock up` has as a child, as a server of its own; sourced by
# scripts/cluster. PENSTOCK_BINARY names the built `penstock`.
# shellcheck shell=bash disable=SC2154

start_engine() {
  if alive engine; then return; fi
  [ -x "${PENSTOCK_BINARY:-}" ] || fail "the engine is a child of penstock: build it and set PENSTOCK_BINARY to its path"
  local at=$dir/engine pipe=$dir/engine/parent settings
  mkdir -p "$at/data"
  certificates
  settings="{\"listen\":\"127.0.0.1:$(port engine)\"}"
  [ ! -e "$parts/chdb/libchdb.so" ] || settings="{\"listen\":\"127.0.0.1:$(port engine)\",\"library\":\"$parts/chdb/libchdb.so\"}"
  # It ends when the pipe to its parent does. It gets both ends, so that only `stop` ends it.
  rm -f "$pipe"
  mkfifo "$pipe"
  run engine bash -c 'exec "$1" engine --data "$2" --settings "$3" <>"$4"' - "$PENSTOCK_BINARY" "$at/data" "$settings" "$pipe"
  printf '{"secret":"%s"}\n' "$(cat "$dir/certificates/password")" >"$pipe"
  await engine 60 curl -fsS --max-time 2 -o /dev/null "http://127.0.0.1:$(port engine)/?query=SELECT+1"
}

stop_engine() {
  if alive engine; then
    resume engine
    # Nobody reads a pipe whose process has just died: do not wait for it.
    timeout 2 bash -c 'echo stop >"$1"' - "$dir/engine/parent" || true
  fi
}

env_engine() { echo "PENSTOCK_TEST_CLICKHOUSE=http://127.0.0.1:$(port engine)"; }
