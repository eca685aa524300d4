#!/usr/bin/env bash
# Checks the tools that a build needs. What Debian can bring is installed when we are root;
# what is still missing is named with the package that holds it.
set -euo pipefail

declare -A package=(
  [cargo]="Rust 1.90 or newer (rustup, or your system's rust packages)"
  [rustfmt]="the Rust component rustfmt (rustup component add rustfmt)"
  [cargo-clippy]="the Rust component clippy (rustup component add clippy)"
  [cc]="gcc libc6-dev" [npm]="npm (version 9 or newer)" [python3]="python3 python3-venv" [curl]="curl"
)
missing=()
for tool in cargo rustfmt cargo-clippy cc npm python3 curl; do
  command -v "$tool" >/dev/null 2>&1 || missing+=("$tool")
done

if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  debs=()
  for tool in "${missing[@]}"; do
    case "$tool" in
      cc) debs+=(gcc libc6-dev) ;; npm) debs+=(npm) ;; python3) debs+=(python3 python3-venv) ;; curl) debs+=(curl) ;;
    esac
  done
  if [ ${#debs[@]} -gt 0 ]; then
    echo "installing: ${debs[*]}" >&2
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${debs[@]}"; } >&2 || true
  fi
fi

failed=0
for tool in "${missing[@]:-}"; do
  [ -n "$tool" ] || continue
  command -v "$tool" >/dev/null 2>&1 && continue
  echo "make: '$tool' is missing: install ${package[$tool]}" >&2
  failed=1
done
[ "$failed" = 0 ] || exit 1

need="1.90"
have=$(cargo --version | awk '{print $2}')
if [ "$(printf '%s\n%s\n' "$need" "$have" | sort -V | head -n1)" != "$need" ]; then
  echo "make: cargo $have is too old: install Rust $need or newer (rustup update)" >&2
  exit 1
fi
