package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"howdah/wire/postgres"
)

// The one tenant of most sections: role, database and password.
const (
	tenant   = "bench"
	password = "bench"
)

// database is the PostgreSQL server that everything runs on.
type database struct {
	server   *postgres.Server
	version  string
	verifier string // of the role, as pg_authid has it
}

// startDatabase makes a server whose disk does not matter, filled by pgbench.
func startDatabase(ctx context.Context, p programs, dir string, scale int) (*database, error) {
	sockets, err := postgres.MakeSocketDir(filepath.Join(dir, "run"))
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	server, err := postgres.Init(ctx, p.postgres, postgres.Config{
		Dir: filepath.Join(dir, "data"), SocketDir: sockets, Port: port, NoSync: true,
		Settings: map[string]string{
			"shared_buffers": "256MB", "max_connections": "300",
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
			"autovacuum": "off", "max_wal_size": "4GB",
		},
	})
	if err != nil {
		return nil, err
	}
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	db := &database{server: server}
	if err := db.fill(ctx, p, scale); err != nil {
		db.stop()
		return nil, err
	}
	return db, nil
}

func (db *database) fill(ctx context.Context, p programs, scale int) error {
	err := db.server.Exec(ctx, postgres.Superuser,
		fmt.Sprintf("create role %s login password '%s'", tenant, password),
		fmt.Sprintf("create database %s owner %s", tenant, tenant))
	if err != nil {
		return err
	}
	err = db.server.QueryRow(ctx, postgres.Superuser,
		"select rolpassword, current_setting('server_version') from pg_authid where rolname = $1",
		[]any{tenant}, &db.verifier, &db.version)
	if err != nil {
		return err
	}
	_, err = output(exec.CommandContext(ctx, p.pgbench, "-i", "-q", "-s", strconv.Itoa(scale),
		db.server.URL(tenant, password, tenant)))
	return err
}

func (db *database) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := db.server.Stop(ctx, postgres.Immediate); err != nil {
		db.server.Kill() // its data goes away with the run
	}
}
