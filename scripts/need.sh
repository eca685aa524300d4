#!/usr/bin/env bash
# Checks the tools that a build needs. What Debian can bring is installed when we are root;
# what is still missing is named with the package that holds it.
# usage: need.sh [cluster|alerts|web-tests]
#   cluster: also what the cluster profile and its test servers need; alerts: also what checks Prometheus'
#   rules; web-tests: also the browser that the panel's pages are tested in
set -euo pipefail

declare -A package=(
  [cargo]="Rust 1.90 or newer (rustup, or your system's rust packages)"
  [rustfmt]="the Rust component rustfmt (rustup component add rustfmt)"
  [cargo-clippy]="the Rust component clippy (rustup component add clippy)"
  [cc]="gcc libc6-dev" [npm]="npm (version 9 or newer)" [node]="nodejs (20.19 or newer)" [python3]="python3 python3-venv" [curl]="curl"
  [c++]="g++" [make]="make" [cmake]="cmake" [pkg-config]="pkg-config" [libssl]="libssl-dev"
  [java]="openjdk-17-jre-headless" [mvn]="maven" [mariadbd]="mariadb-server" [openssl]="openssl"
  [setsid]="util-linux" [promtool]="prometheus" [chromium]="chromium"
)
tools=(cargo rustfmt cargo-clippy cc npm node python3 curl)
if [ "${1:-}" = cluster ]; then
  # librdkafka is built from source; the servers are Java programs, fetched by Maven, and MariaDB.
  tools+=(c++ make cmake pkg-config libssl java mvn mariadbd openssl setsid)
fi
[ "${1:-}" != alerts ] || tools+=(promtool)
[ "${1:-}" != web-tests ] || tools+=(chromium)
# Debian keeps servers where only root's PATH looks.
export PATH=$PATH:/usr/sbin:/usr/local/sbin

there() {
  case "$1" in
    libssl) pkg-config --exists openssl 2>/dev/null ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

look() {
  missing=()
  for tool in "${tools[@]}"; do
    there "$tool" || missing+=("$tool")
  done
}

look
if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  # make may run several of these at once: one installs, the others then find it done.
  exec 9>"${TMPDIR:-/tmp}/penstock-need.lock"
  flock 9
  look
  debs=()
  for tool in "${missing[@]}"; do
    case "$tool" in
      cargo|rustfmt|cargo-clippy) ;;
      npm|node) debs+=(npm) ;;
      *) read -ra names <<<"${package[$tool]}"; debs+=("${names[@]}") ;;
    esac
  done
  if [ ${#debs[@]} -gt 0 ]; then
    echo "installing: ${debs[*]}" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${debs[@]}"; } >&2 || true
  fi
fi

failed=0
for tool in "${missing[@]:-}"; do
  [ -n "$tool" ] || continue
  there "$tool" && continue
  echo "make: '$tool' is missing: install ${package[$tool]}" >&2
  failed=1
done
[ "$failed" = 0 ] || exit 1

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n1)" = "$1" ]; }

need="1.90"
have=$(cargo --version | awk '{print $2}')
if ! at_least "$need" "$have"; then
  echo "make: cargo $have is too old: install Rust $need or newer (rustup update)" >&2
  exit 1
fi
need="20.19"
have=$(node --version | tr -d v)
if ! at_least "$need" "$have"; then
  echo "make: Node.js $have is too old to build the panel's pages: install Node.js $need or newer" >&2
  exit 1
fi
if [ "${1:-}" = cluster ]; then
  have=$(java -version 2>&1 | awk -F'"' '/version/ {print $2; exit}')
  if ! at_least 17 "${have:-0}"; then
    echo "make: Java ${have:-of unknown version} is too old: install Java 17 or newer (openjdk-17-jre-headless)" >&2
    exit 1
  fi
fi
