# Run `make help` for what there is to make.

GO       ?= go
FUZZTIME ?= 30s
SOAKTIME ?= 5m
UPFLAGS  ?=
BENCHFLAGS ?=
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

GOFUMPT     = $(GO) run mvdan.cc/gofumpt@v0.12.0
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2

# go's ./... leaves testdata out; programs kept there are named by themselves.
PROGRAMS = $(addprefix ./,$(patsubst %/,%,$(sort $(dir $(wildcard testdata/*/*.go)))))
PACKAGES = ./... $(PROGRAMS)

# Those whose tests take longest begin first, so that they do not run alone in the end.
# Tests wait more than they work: one package more than there are processors.
LONGEST = ./router ./admin/fleet ./cmd/howdah ./backup/restore
ATONCE  = -p $$(($$(getconf _NPROCESSORS_ONLN) + 1))

.DEFAULT_GOAL := help
.PHONY: run build test race fuzz bench bench-tenants bench-standbys bench-api bench-admin bench-backup clients odoo odoo-standby odoo-catalog lint soak help

run: ## install what is missing, build, and run everything on this machine (UPFLAGS="--port 6433")
	@testdata/install postgresql postgresql-contrib
	@$(MAKE) --no-print-directory build
	bin/howdah up $(UPFLAGS)

build: ## write bin/howdah; needs Go, and a C compiler for read_split = "auto" and for speed of backups
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/howdah ./cmd/howdah

test: ## install what is missing and run all tests
	@testdata/install postgresql postgresql-contrib python3-psycopg2 pgbouncer gcc libc6-dev etcd-server patroni strace
	-@testdata/install chromium-headless-shell
	@testdata/getexporter >/dev/null
	@testdata/getversitygw >/dev/null
	@testdata/getpromtool >/dev/null
	@testdata/getpg 17 trixie >/dev/null
	testdata/inmemory $(GO) test $(ATONCE) -count=1 -timeout 25m $(LONGEST) $(PACKAGES)

race: ## run all tests under the race detector
	@testdata/install postgresql postgresql-contrib python3-psycopg2 pgbouncer gcc libc6-dev etcd-server patroni strace
	-@testdata/install chromium-headless-shell
	@testdata/getexporter >/dev/null
	@testdata/getversitygw >/dev/null
	@testdata/getpromtool >/dev/null
	@testdata/getpg 17 trixie >/dev/null
	CGO_ENABLED=1 testdata/inmemory $(GO) test -race -count=1 -timeout 40m $(LONGEST) $(PACKAGES)

fuzz: ## run every fuzz target for FUZZTIME (30s) each
	@grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . >/dev/null || { echo 'no fuzz targets found' >&2; exit 1; }
	@grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sort | while IFS=: read -r file func; do \
		target=$${func#func } dir=$$(dirname "$$file"); \
		echo "$$dir $$target"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir" || exit 1; \
	done

soak: ## run the long tests (names with Soak) for SOAKTIME (5m) each, then real clients and a real Odoo
	@testdata/install postgresql postgresql-contrib etcd-server patroni
	HOWDAH_SOAK=$(SOAKTIME) $(GO) test -count=1 -timeout 0 -run Soak -v ./...
	testdata/clients/run
	testdata/odoo/run
	testdata/odoo/run --catalog

clients: ## compare twelve client libraries through Howdah and directly; installs them
	testdata/clients/run

odoo: ## run Odoo 19 through Howdah in transaction mode; fetches it
	testdata/odoo/run

odoo-standby: ## run Odoo 19 through Howdah with a streaming standby, which is killed
	testdata/odoo/run --standby

odoo-catalog: ## have Odoo 19's own database manager make, copy, rename and drop tenants of a catalog
	testdata/odoo/run --catalog

bench: build ## measure side by side with PgBouncer and print the ratios
	@testdata/install postgresql postgresql-contrib pgbouncer strace
	@if [ -z "$$HOWDAH_PGBOUNCER" ] && newest=$$(testdata/getpg); then export HOWDAH_PGBOUNCER="$$newest/usr/sbin/pgbouncer"; fi; \
	$(GO) run ./testdata/bench $(BENCHFLAGS)

bench-tenants: build ## measure many tenants on few servers side by side with PgBouncer
	@testdata/install postgresql postgresql-contrib pgbouncer
	@if [ -z "$$HOWDAH_PGBOUNCER" ] && newest=$$(testdata/getpg); then export HOWDAH_PGBOUNCER="$$newest/usr/sbin/pgbouncer"; fi; \
	$(GO) run ./testdata/bench -tenants -pairs 3 $(BENCHFLAGS)

bench-standbys: build ## measure reads at a standby, and what it costs to look for them
	@testdata/install postgresql postgresql-contrib
	$(GO) run ./testdata/bench -standbys $(BENCHFLAGS)

bench-api: build ## measure reads of the HTTP API with 1,000 tenants in the catalog
	@testdata/install postgresql postgresql-contrib
	$(GO) run ./testdata/bench -api $(BENCHFLAGS)

bench-admin: build ## measure how tenants are made, renamed, moved, cloned and dropped
	@testdata/install postgresql postgresql-contrib
	$(GO) run ./testdata/bench -admin $(BENCHFLAGS)

bench-backup: build ## measure WAL, base backups and restores beside pg_receivewal, pg_basebackup, pgBackRest and tar
	@testdata/install postgresql postgresql-contrib zstd
	@if [ -z "$$HOWDAH_PGBACKREST" ] && newest=$$(testdata/getpg); then export HOWDAH_PGBACKREST="$$newest/usr/bin/pgbackrest"; fi; \
	$(GO) run ./testdata/bench -backup -pairs 3 $(BENCHFLAGS)

lint: ## check format, go vet and staticcheck
	@unformatted=$$($(GOFUMPT) -l . $(PROGRAMS)) && test -z "$$unformatted" || { echo "not formatted as gofumpt does:"; echo "$$unformatted"; exit 1; }
	$(GO) vet $(PACKAGES)
	CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/howdah
	$(STATICCHECK) $(PACKAGES)

help: ## say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | while IFS='	' read -r name what; do printf 'make %-14s %s\n' "$$name" "$$what"; done
