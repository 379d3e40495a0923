# make start: install, build, run.   make test: all checks, with what they need.   make help: the rest.
.PHONY: start cluster test bench build lint check format help

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

bench: build ## measure, beside bare node:http (minutes; ONLY=holdline, WHAT=one,rate,idle)
	npx tsc -p test/bench
	node test/bench/out/bench.js
	node test/bench/append.mjs

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
