package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/wire/postgres"
)

// watcher is Howdah's own role in the sections with a standby.
const watcher = "watcher"

// standbySlot is the standby's place in the primary.
const standbySlot = "bench"

// runStandbys runs the sections that need a standby.
func (b *bench) runStandbys(ctx context.Context) error {
	if !b.wants("share") && !b.wants("split") {
		return nil
	}
	standby, err := b.startStandby(ctx)
	if err != nil {
		return err
	}
	defer standby.stop()
	if b.wants("share") {
		err = b.runShare(ctx, standby)
	}
	if b.wants("split") && ctx.Err() == nil {
		err = errors.Join(err, b.runSplit(ctx, standby))
	}
	return err
}

// startStandby makes a standby that streams from the server of all sections, which
// from now on confirms what its disk has, as a server does whose data counts.
func (b *bench) startStandby(ctx context.Context) (*database, error) {
	primary := b.database.server
	err := primary.Exec(ctx, postgres.Superuser,
		fmt.Sprintf("create role %s superuser login password '%s'", watcher, password),
		"alter system set fsync = on", "alter system set synchronous_commit = on", "alter system set full_page_writes = on",
		"select pg_reload_conf()")
	if err != nil {
		return nil, err
	}
	sockets, err := postgres.MakeSocketDir(filepath.Join(b.dir, "standby.run"))
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	server, err := postgres.Standby(ctx, b.programs.postgres, primary, standbySlot, postgres.Config{
		Dir: filepath.Join(b.dir, "standby"), SocketDir: sockets, Port: port, NoSync: true,
		Settings: map[string]string{"shared_buffers": "256MB", "max_connections": "300"},
	})
	if err != nil {
		return nil, err
	}
	standby := &database{server: server}
	if err := server.Start(ctx); err != nil {
		standby.stop()
		return nil, err
	}
	return standby, nil
}

// splitSettings are what a Howdah with a standby is told.
type splitSettings struct {
	split  string // read_split
	maxLag time.Duration
}

// startSplit starts a Howdah in front of primary and standby, and waits until it
// knows both.
func (b *bench) startSplit(ctx context.Context, standby *database, s splitSettings) (*pooler, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "[listen]\naddresses = [\"127.0.0.1:%d\"]\nunix_socket_dir = \"\"\n", port)
	fmt.Fprintf(&text, "[admin]\nhttp = \"\"\nstats_users = [%q]\n[server]\nloops = 1\nlog_level = \"warn\"\n", tenant)
	fmt.Fprintf(&text, "[defaults]\npool_mode = \"transaction\"\npool_size = %d\nread_split = %q\n", poolSize, s.split)
	fmt.Fprintf(&text, "[[cluster]]\nname = \"main\"\nmembers = [%q, %q]\ntls_mode = \"disable\"\nmax_lag = %q\n",
		b.database.server.Address(), standby.server.Address(), s.maxLag)
	fmt.Fprintf(&text, "admin_url = %q\n", b.database.server.URL(watcher, password, postgres.Superuser))
	fmt.Fprintf(&text, "[[tenant]]\nname = %q\ncluster = \"main\"\n[[user]]\nname = %q\nverifier = %q\n", tenant, tenant, b.database.verifier)
	path := filepath.Join(b.dir, fmt.Sprintf("howdah-%d.toml", port))
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return nil, err
	}
	binary := filepath.Join(b.dir, "howdah")
	if err := copyProgram(b.programs.howdah, binary); err != nil {
		return nil, err
	}
	p, err := b.launch(ctx, howdah, port, []string{binary, "serve", "-c", path}, poolerURL(port, tenant, tenant))
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		members, err := p.standbys(ctx)
		if err == nil && members["primary"] == 1 && members["standby"] == 1 {
			return p, nil
		}
		if time.Now().After(end) {
			p.stop()
			return nil, p.explain(fmt.Errorf("no primary and standby: %v, %w", members, err))
		}
	}
}

// standbys returns from SHOW STANDBYS how many members have each role, and as
// "started" how many transactions have been sent to standbys.
func (p *pooler) standbys(ctx context.Context) (map[string]int, error) {
	conn, err := pgconn.Connect(ctx, poolerURL(p.port, tenant, "howdah"))
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	results, err := conn.Exec(ctx, "SHOW STANDBYS").ReadAll()
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, result := range results {
		for _, row := range result.Rows {
			for i, column := range result.FieldDescriptions {
				switch column.Name {
				case "role":
					found[string(row[i])]++
				case "started":
					n, err := strconv.Atoi(string(row[i]))
					if err != nil {
						return nil, fmt.Errorf("read SHOW STANDBYS: %w", err)
					}
					found["started"] += n
				}
			}
		}
	}
	return found, nil
}
