#!/usr/bin/env bash
# Installs from Debian what the tests need, unless it is there. Other places are told by CHROMIUM=/path/to/it, FIREFOX=, NGINX=,
# REDIS= and VALKEY=. With arguments: only those. Without the browsers, the tests with them are left out; the rest is needed.
set -euo pipefail
PATH=$PATH:/usr/sbin
wanted=" ${*:-cc nginx openssl redis valkey zsh chromium firefox webkit text} "
needed=""
browsers=""
# Adds packages to a list if a command is not there: list, name, its path if that is told, command, packages.
want() {
  local -n list=$1
  [[ "$wanted" != *" $2 "* ]] || [ -n "$3" ] || command -v "$4" >/dev/null || list="$list $5"
}
want needed cc "" cc "gcc libc6-dev"
want needed nginx "${NGINX:-}" nginx nginx-light
want needed openssl "" openssl openssl
want needed redis "${REDIS:-}" redis-server redis-server
want needed valkey "${VALKEY:-}" valkey-server valkey-server
want needed zsh "" zsh zsh
want browsers chromium "${CHROMIUM:-}" chromium-headless-shell "chromium-headless-shell fonts-noto-cjk fonts-noto-color-emoji"
want browsers firefox "${FIREFOX:-}" firefox-esr firefox-esr
want browsers webkit "${WEBKIT_DRIVER:-}" WebKitWebDriver webkit2gtk-driver
want browsers webkit "${XVFB:-}" Xvfb xvfb
for text in w3m lynx links2 elinks; do want browsers text "" $text $text; done
[ -n "$needed$browsers" ] || exit 0
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"
if command -v apt-get >/dev/null && { [ -z "$sudo" ] || $sudo true 2>/dev/null; }; then
  $sudo apt-get update -qq
  # Debian 12 has Valkey in its backports only.
  if [[ "$needed" = *valkey* ]] && ! apt-cache show valkey-server >/dev/null 2>&1; then
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    site=$(apt-get indextargets --format '$(SITE)' "Codename: $suite" | sort | head -n 1)
    echo "deb $site $suite-backports main" | $sudo tee /etc/apt/sources.list.d/backports.list >/dev/null
    $sudo apt-get update -qq
  fi
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends \
    $needed $browsers >/dev/null
else
  [ -z "$browsers" ] || echo "Could not install:$browsers. The tests whose browser is missing are left out." >&2
  [ -z "$needed" ] || echo "Needed:$needed. Install them, or set NGINX=, REDIS= and VALKEY=/path/to/it." >&2
  [ -z "$needed" ]
fi
