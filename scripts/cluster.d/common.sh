# Processes, ports and waiting; sourced by scripts/cluster.
# shellcheck shell=bash disable=SC2154  # dir and parts are the caller's

fail() { echo "cluster: $*" >&2; exit 1; }

# One change of a folder at a time; servers do not inherit the lock.
locked() {
  exec 9>"$dir/lock"
  flock -w 300 9 || fail "another run holds $dir/lock"
}

# A process is ours when pid and start time are those that we noted: a pid that was given to
# somebody else after a reboot or a death is never signalled.
started_at() { awk '{ sub(/^.*\) /, ""); print $20 }' "/proc/$1/stat" 2>/dev/null; }

alive() {
  local pid since
  read -r pid since 2>/dev/null <"$dir/pids/$1" || return 1
  [ "$(started_at "$pid")" = "$since" ] || return 1
  # A process that nobody has reaped yet is dead all the same.
  [[ $(sed 's/^.*) //' "/proc/$pid/stat" 2>/dev/null) != Z* ]]
}

pid_of() { cut -d' ' -f1 "$dir/pids/$1"; }
known() { [ -d "$dir/pids" ] && ls "$dir/pids" || true; }
running() { local name; for name in $(known); do if alive "$name"; then echo "$name"; fi; done; }

# Starts a server in the background, in a session of its own so that Ctrl-C is not for it.
run() {
  local name=$1 pid
  shift
  if ! alive "$name"; then rm -f "$dir/pids/$name"; fi
  setsid "$@" >>"$dir/logs/$name.log" 2>&1 </dev/null 9>&- &
  pid=$!
  echo "$pid $(started_at "$pid")" >"$dir/pids/$name.new"
  mv "$dir/pids/$name.new" "$dir/pids/$name"
}

# Waits until a condition holds: await NAME SECONDS COMMAND…; a server that ends meanwhile is a failure.
await() {
  local name=$1 deadline=$((SECONDS + $2))
  shift 2
  until "$@" 2>/dev/null; do
    alive "$name" || { tell "$name"; fail "$name ended while it started, see $dir/logs/$name.log"; }
    [ "$SECONDS" -lt "$deadline" ] || { tell "$name"; fail "$name is not ready, see $dir/logs/$name.log"; }
    sleep 0.1
  done
}
tell() { echo "--- the end of $dir/logs/$1.log" >&2; tail -n 15 "$dir/logs/$1.log" >&2 || true; }

# What a server logged since its present start.
mark() { touch "$dir/logs/$1.log"; wc -c <"$dir/logs/$1.log" >"$dir/logs/$1.mark"; }
# Not grep -q: it leaves at the first match, `tail` dies of the broken pipe, and that would count.
logged() { tail -c +"$(($(cat "$dir/logs/$1.mark") + 1))" "$dir/logs/$1.log" | grep -- "$2" >/dev/null; }

signal() { if alive "$2"; then kill "-$1" "$(pid_of "$2")" 2>/dev/null || true; fi; }
gone() { ! alive "$1"; }
pause() { signal STOP "$1"; }
resume() { signal CONT "$1"; }

# SIGKILL, and wait until the process is really gone.
kill_now() {
  signal KILL "$1"
  local deadline=$((SECONDS + 10))
  until gone "$1"; do
    [ "$SECONDS" -lt "$deadline" ] || fail "$1 does not end"
    sleep 0.05
  done
}

# Asks processes to end, all at once, and kills those that have not after ten seconds.
end() {
  local name deadline=$((SECONDS + 10))
  for name; do
    if [ "$name" = engine ]; then stop_engine; else resume "$name"; signal TERM "$name"; fi
  done
  for name; do
    until gone "$name"; do
      if [ "$SECONDS" -ge "$deadline" ]; then break; fi
      sleep 0.1
    done
    kill_now "$name"
  done
}
# Clients of other parts first: a registry or a DataNode that loses its server waits and retries.
end_all() {
  local name rest=() first=()
  for name in $(running); do
    case "$name" in registry|datanode|engine|s3) first+=("$name") ;; *) rest+=("$name") ;; esac
  done
  end "${first[@]}"
  end "${rest[@]}"
}

port() { sed -n "s/^$1=//p" "$dir/ports"; }

names=(kafka1 kafka2 kafka3 sasl1 sasl2 sasl3 tls1 tls2 tls3 controller1 controller2 controller3
  mariadb namenode namenode-http datanode datanode-ipc datanode-http registry registry-management s3 engine)

# Folders and ports. Ports are kept as long as something runs on them; those that somebody else has
# taken since are chosen anew.
prepare() {
  umask 077
  mkdir -p "$dir/pids" "$dir/logs"
  touch "$dir/ports"
  if [ -z "$(running)" ]; then python3 "$here/cluster.d/ports.py" "$dir/ports" "${names[@]}"; fi
}

write_env() {
  {
    echo "PENSTOCK_TEST_CLUSTER=$dir"
    if [ -e "$dir/kafka" ]; then env_kafka; fi
    if [ -e "$dir/mariadb" ]; then env_mariadb; fi
    if [ -e "$dir/hdfs" ]; then env_hdfs; fi
    if [ -e "$dir/registry" ]; then env_registry; fi
    if [ -e "$dir/s3" ]; then env_s3; fi
    if [ -e "$dir/engine" ]; then env_engine; fi
    if [ -e "$dir/certificates/ca.pem" ]; then env_certificates; fi
  } >"$dir/env.new"
  mv "$dir/env.new" "$dir/env"
}

need_part() { [ -e "$parts/$1" ] || fail "$parts/$1 is not there: run \`make parts\` first"; }
