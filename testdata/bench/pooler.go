package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// contender is who is measured.
type contender int

const (
	direct contender = iota // PostgreSQL itself, the limit
	bouncer
	howdah
)

func (c contender) String() string {
	return [...]string{"PostgreSQL", "PgBouncer", "Howdah"}[c]
}

// poolSize is the servers per tenant in most sections.
const poolSize = 20

// maxPrepared is the statements kept per server in most sections.
const maxPrepared = 200

// poolerSettings is what both poolers are told, each in its own words:
// transaction pooling, TLS for clients that ask, none to the servers.
type poolerSettings struct {
	backend    int      // port of PostgreSQL on 127.0.0.1
	tenants    []string // databases, each with a role of the same name
	verifier   string   // of every role; "" lets everybody in
	loops      int      // Howdah's; PgBouncer has one thread
	servers    int      // per tenant
	statements int      // prepared ones kept per server
}

// pooler is a PgBouncer or a Howdah that answers.
type pooler struct {
	*process
	contender
	port int
}

func (p *pooler) url(tenant string) string { return poolerURL(p.port, tenant, tenant) }

func poolerURL(port int, user, database string) string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", user, password, port, database)
}

// startPooler starts a fresh one. The caller stops it.
func (b *bench) startPooler(ctx context.Context, c contender, s poolerSettings) (*pooler, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	var argv []string
	if c == bouncer {
		argv, err = b.configurePgBouncer(port, s)
	} else {
		argv, err = b.configureHowdah(port, s)
	}
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, tenant := range s.tenants {
		urls = append(urls, poolerURL(port, tenant, tenant))
	}
	return b.launch(ctx, c, port, argv, urls...)
}

// launch starts a pooler and waits until it answers at all of urls.
func (b *bench) launch(ctx context.Context, c contender, port int, argv []string, urls ...string) (*pooler, error) {
	p, err := startProcess(filepath.Join(b.dir, fmt.Sprintf("%s-%d.log", c, port)), argv...)
	if err != nil {
		return nil, err
	}
	for _, url := range urls {
		if err := p.waitReady(ctx, url); err != nil {
			p.stop()
			return nil, fmt.Errorf("start %v: %w", c, err)
		}
	}
	return &pooler{process: p, contender: c, port: port}, nil
}

// overDatabase are the settings in front of the real PostgreSQL.
func (b *bench) overDatabase() poolerSettings {
	return poolerSettings{
		backend: b.database.server.Port(), tenants: []string{tenant}, verifier: b.database.verifier, loops: 1,
		servers: poolSize, statements: maxPrepared,
	}
}
