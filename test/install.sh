#!/usr/bin/env bash
# The browser tests need a Chromium. Take the one that is there (CHROMIUM=/path/to/it), else Debian's when we may.
set -euo pipefail
[ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null && exit 0
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"
if command -v apt-get >/dev/null && { [ -z "$sudo" ] || $sudo true 2>/dev/null; }; then
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends \
    chromium fonts-noto-cjk fonts-noto-color-emoji w3m >/dev/null
else
  echo "The tests need Chromium: install it (Debian: apt-get install chromium w3m), or set CHROMIUM=/path/to/it." >&2
  exit 1
fi
