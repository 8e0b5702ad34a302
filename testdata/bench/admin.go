package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// adminPlane is a Howdah with a catalog in front of two servers whose data counts.
type adminPlane struct {
	*bench
	pooler      *pooler
	main, other *postgres.Server // clusters of those names
	web         string           // URL of the HTTP side
	client      *http.Client
	patience    time.Duration // between two questions whether a job is done
}

// Of many who wait each asks less often: their questions would take the processors that
// the jobs need.
const (
	impatient = 10 * time.Millisecond
	patient   = 200 * time.Millisecond
)

// adminToken is whose requests these are.
const adminToken = "howdah_bench"

// runAdmin runs the sections that make, change and drop tenants.
func (b *bench) runAdmin(ctx context.Context) error {
	var failed []error
	for _, section := range []struct {
		name string
		run  func(context.Context, *adminPlane) error
	}{
		{"create", b.runCreate}, {"churn", b.runChurn}, {"holds", b.runHolds}, {"neighbours", b.runNeighbours},
	} {
		if !b.wants(section.name) || ctx.Err() != nil {
			continue
		}
		if err := b.onAdminPlane(ctx, section.name, section.run); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", section.name, err))
		}
	}
	return errors.Join(failed...)
}

// onAdminPlane runs a section on servers of its own.
func (b *bench) onAdminPlane(ctx context.Context, name string, run func(context.Context, *adminPlane) error) error {
	a := &adminPlane{bench: b, patience: impatient, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	for _, s := range []struct {
		name   string
		server **postgres.Server
	}{{"main", &a.main}, {"other", &a.other}} {
		server, err := b.startServer(ctx, name+"-"+s.name)
		if err != nil {
			return err
		}
		defer (&database{server: server}).stop()
		*s.server = server
	}
	if err := a.start(ctx); err != nil {
		return err
	}
	defer a.pooler.stop()
	if err := run(ctx, a); err != nil {
		return a.pooler.explain(err)
	}
	return nil
}

// startServer makes a server that keeps what it says it has, and can replicate logically.
func (b *bench) startServer(ctx context.Context, name string) (*postgres.Server, error) {
	sockets, err := postgres.MakeSocketDir(filepath.Join(b.dir, name+".run"))
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	server, err := postgres.Init(ctx, b.programs.postgres, postgres.Config{
		Dir: filepath.Join(b.dir, name), SocketDir: sockets, Port: port, NoSync: true, // which is of initdb
		Settings: map[string]string{
			"shared_buffers": "256MB", "max_connections": "300", "wal_level": "logical", "max_wal_size": "4GB",
			"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
		},
	})
	if err != nil {
		return nil, err
	}
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	err = server.Exec(ctx, postgres.Superuser, fmt.Sprintf("create role %s superuser login password '%s'", watcher, password))
	return server, err
}

// start makes the catalog and starts Howdah by it.
func (a *adminPlane) start(ctx context.Context) error {
	if err := a.main.Exec(ctx, postgres.Superuser, "create database catalog owner "+watcher); err != nil {
		return err
	}
	c, err := catalog.Open(ctx, a.main.URL(watcher, password, "catalog"))
	if err != nil {
		return err
	}
	err = c.Change(ctx, catalog.Actor{Name: "bench", Door: "bench"}, func(tx *catalog.Tx) error {
		_, err := tx.AddToken(catalog.Token{Name: "bench", Role: "admin"}, adminToken)
		return err
	})
	c.Close()
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	web, err := freePort()
	if err != nil {
		return err
	}
	a.web = fmt.Sprintf("http://127.0.0.1:%d", web)
	var text strings.Builder
	fmt.Fprintf(&text, "[listen]\naddresses = [\"127.0.0.1:%d\"]\nunix_socket_dir = \"\"\n", port)
	fmt.Fprintf(&text, "[admin]\nhttp = \"127.0.0.1:%d\"\nrequests_per_second = 0\n[server]\nlog_level = \"warn\"\n", web)
	fmt.Fprintf(&text, "[catalog]\nurl = %q\n", a.main.URL(watcher, password, "catalog"))
	fmt.Fprintf(&text, "[[cluster]]\nname = \"unused\"\nmembers = [%q]\n", a.main.Address()) // the file must have one
	path := filepath.Join(a.dir, fmt.Sprintf("howdah-%d.toml", port))
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return err
	}
	binary := filepath.Join(a.dir, "howdah")
	if err := copyProgram(a.programs.howdah, binary); err != nil {
		return err
	}
	if a.pooler, err = a.launch(ctx, howdah, port, []string{binary, "serve", "-c", path}); err != nil {
		return err
	}
	for name, server := range map[string]*postgres.Server{"main": a.main, "other": a.other} {
		settings := map[string]any{
			"members": []string{server.Address()}, "tls_mode": "disable", "admin_url": server.URL(watcher, password, postgres.Superuser),
		}
		err := a.until(ctx, "cluster "+name+" is added", func() error { return a.ask(ctx, "PUT", "/clusters/"+name, settings, nil) })
		if err != nil {
			a.pooler.stop()
			return a.pooler.explain(err)
		}
	}
	err = a.until(ctx, "the clusters are known", func() error {
		probe := map[string]any{"name": "probe", "cluster": "main"}
		return errors.Join(a.ask(ctx, "POST", "/tenants?dry_run=true", probe, nil), a.ask(ctx, "GET", "/clusters/other", nil, nil))
	})
	if err != nil {
		a.pooler.stop()
		return a.pooler.explain(err)
	}
	return nil
}

// until tries something until it goes well.
func (a *adminPlane) until(ctx context.Context, what string, try func() error) error {
	for end := time.Now().Add(2 * patience); ; {
		err := try()
		if err == nil {
			return nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ask asks the API. body and into may be nil.
func (a *adminPlane) ask(ctx context.Context, method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, a.web+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	answer, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if text, err = io.ReadAll(answer.Body); err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, answer.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// aTenant is what is told of a tenant that is made, or of something that begins with it.
type aTenant struct {
	Name, Password string
	Operation      *aJob
}

type aJob struct{ ID, State, Error string }

// done waits until a job has ended well.
func (a *adminPlane) done(ctx context.Context, id string) error {
	for {
		var j aJob
		if err := a.ask(ctx, "GET", "/jobs/"+id, nil, &j); err != nil {
			return err
		}
		switch j.State {
		case "done":
			return nil
		case "failed", "cancelled", "attention":
			return fmt.Errorf("job %s is %s: %s", id, j.State, j.Error)
		}
		select {
		case <-time.After(a.patience):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin asks for an operation on a tenant and waits for its end.
func (a *adminPlane) begin(ctx context.Context, method, path string, body any) error {
	var begun struct {
		ID        string // of an operation alone
		Operation *aJob
	}
	if err := a.ask(ctx, method, path, body, &begun); err != nil {
		return err
	}
	if begun.Operation != nil {
		begun.ID = begun.Operation.ID
	}
	return a.done(ctx, begun.ID)
}

// makeTenant makes a tenant on cluster main, and waits for the end of it.
func (a *adminPlane) makeTenant(ctx context.Context, name string) (aTenant, error) {
	var made aTenant
	err := a.ask(ctx, "POST", "/tenants", map[string]any{"name": name, "cluster": "main"}, &made)
	if err == nil {
		err = a.done(ctx, made.Operation.ID)
	}
	return made, err
}

// url is how a tenant's own user reaches it.
func (a *adminPlane) url(t *aTenant) string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", t.Name, t.Password, a.pooler.port, t.Name)
}

// metric returns one of Howdah's own process' figures.
func (a *adminPlane) metric(ctx context.Context, name string) (value float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.web+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	answer, err := a.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			_, err := fmt.Sscan(rest, &value)
			return value, err
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}
