#!/usr/bin/env bash
# The tests need a Chromium, nginx and w3m. Take those that are there (CHROMIUM=/path/to/it, NGINX=…), else Debian's when
# we may.
set -euo pipefail
PATH=$PATH:/usr/sbin
missing=""
[ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null || missing="$missing chromium fonts-noto-cjk fonts-noto-color-emoji"
[ -n "${NGINX:-}" ] || command -v nginx >/dev/null || missing="$missing nginx-light"
command -v w3m >/dev/null || missing="$missing w3m"
[ -n "$missing" ] || exit 0
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"
if command -v apt-get >/dev/null && { [ -z "$sudo" ] || $sudo true 2>/dev/null; }; then
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends \
    $missing >/dev/null
else
  echo "The tests need:$missing. Install them, or set CHROMIUM=/path/to/it and NGINX=/path/to/it." >&2
  exit 1
fi
