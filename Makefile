# make start: install, build, run.   make test: all checks, with what they need.   make help: the rest.
.PHONY: start cluster test conformance nodes bench build lint check format help

start: build ## install, build and run on http://127.0.0.1:5000 (ARGS="--port 8080" for flags)
	node dist/server.js $(ARGS)

cluster: build ## Redis, three processes and an nginx in front, on free ports; Ctrl-C ends all
	bash test/install.sh redis nginx
	node deploy/cluster.mjs

test: build ## install what the tests need, build, lint, type-check, test
	bash test/install.sh
	npm run --silent lint
	npm run --silent check
	npx vitest run

conformance: build ## check our own server against the contract, or another's: URL=http://host:port
	npm run --silent conformance -- $(or $(URL),--start "node dist/server.js --port {port} --data {data} --post-rate 0 --login-rate 0")

nodes: build ## test on other versions of Node, from the npm registry (NODES="22 24 26")
	bash test/nodes.sh

bench: build ## measure, beside bare node:http and others (minutes; ONLY=holdline,bare WHAT=one,rate; PEERS=1 for all)
	npx tsc -p test/bench
	node test/bench/out/bench.js
	[ -n "$(ONLY)$(WHAT)" ] || node test/bench/append.mjs

build: node_modules/.package-lock.json ## compile to dist/
	npm run --silent build

lint: node_modules/.package-lock.json ## Biome: lint and format
	npm run --silent lint

check: node_modules/.package-lock.json ## type-check everything, tests too
	npm run --silent check

format: node_modules/.package-lock.json ## let Biome write its format
	npm run --silent format

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12
