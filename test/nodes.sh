#!/usr/bin/env bash
# Runs the conformance kit and most of the tests on each supported version of Node, taken from the npm registry.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in ${NODES:-20 22 24 26}; do
  npm i --prefix "$folder/$version" --silent --no-audit --no-fund "node@$version" >/dev/null
  bin=$folder/$version/node_modules/node/bin
  echo "Node $("$bin/node" --version)"
  # First in the PATH, for what the tests start.
  PATH=$bin:$PATH node test/node_modules/vitest/vitest.mjs run --project all \
    ${TESTS:-test/chat test/client test/embed test/feed test/http test/store test/wire test/package.test.ts}
  PATH=$bin:$PATH npm run --silent conformance -- --start \
    "node dist/server.js --port 0 --data {data} --post-rate 0 --login-rate 0"
done
