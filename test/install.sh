#!/usr/bin/env bash
# The tests need a C compiler, Chromium, nginx, Redis and w3m. This uses those that are there (CHROMIUM=/path/to/it, NGINX=…, REDIS=…), else
# it installs those of Debian, if it may. With arguments: only those.
set -euo pipefail
PATH=$PATH:/usr/sbin
wanted=" ${*:-cc chromium nginx redis w3m} "
missing=""
# A program, where it is if that is told, its command, and Debian's packages with it.
want() {
  [[ "$wanted" != *" $1 "* ]] || [ -n "$2" ] || command -v "$3" >/dev/null || missing="$missing $4"
}
want cc "" cc "gcc libc6-dev"
want chromium "${CHROMIUM:-}" chromium "chromium fonts-noto-cjk fonts-noto-color-emoji"
want nginx "${NGINX:-}" nginx nginx-light
want redis "${REDIS:-}" redis-server redis-server
want w3m "" w3m w3m
[ -n "$missing" ] || exit 0
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"
if command -v apt-get >/dev/null && { [ -z "$sudo" ] || $sudo true 2>/dev/null; }; then
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends \
    $missing >/dev/null
else
  echo "Needed:$missing. Install them, or set CHROMIUM=, NGINX= and REDIS=/path/to/it." >&2
  exit 1
fi
