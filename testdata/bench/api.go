package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// What the catalog holds when the API is measured.
const (
	apiTenants = 1000
	apiJobs    = 3000
)

// apiClients are how many ask at one time, without a pause.
func apiClients() []int { return []int{1, 4} }

// apiReads are what is asked for. PATH/ID is a job.
func apiReads() []string {
	return []string{
		"/tenants", "/tenants?limit=100", "/tenants?search=tenant-05", "/tenants/tenant-0500", "/tiers", "/clusters",
		"/jobs", "/jobs/ID", "/jobs?tenant=tenant-0500", "/audit?last=100", "/pools", "/stats",
	}
}

// runAPI measures how long reads of the HTTP API take.
func (b *bench) runAPI(ctx context.Context) error {
	if !b.wants("api") {
		return nil
	}
	const token = "howdah_bench"
	job, err := b.fillCatalog(ctx, token)
	if err != nil {
		return fmt.Errorf("fill the catalog: %w", err)
	}
	p, url, err := b.startAPI(ctx)
	if err != nil {
		return err
	}
	defer p.stop()
	r := &reader{url: url, token: token, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	if err := r.await(ctx); err != nil {
		return p.explain(err)
	}
	b.report.note("The API's reads are of a catalog with %d tenants, %d jobs and the audit log of both; each is asked for again as soon as it is answered.", apiTenants, apiJobs)
	for _, clients := range apiClients() {
		for _, path := range apiReads() {
			half := b.report.add(fmt.Sprintf("GET %s, %d at once, median, ms", path, clients), target{})
			slow := b.report.add("– p99, ms", aloneAtMost(20))
			for range b.pairs {
				took, err := r.many(ctx, strings.Replace(path, "ID", job, 1), clients, time.Duration(b.seconds)*time.Second)
				if err != nil {
					return p.explain(err)
				}
				half.sample(howdah, took.median())
				slow.sample(howdah, took.quantile(0.99))
				b.say("GET %s, %d at once: %d answers, p99 %.1f ms", path, clients, len(took), took.quantile(0.99))
			}
		}
	}
	return nil
}

// fillCatalog makes tenants and jobs that have ended, and returns the last one.
func (b *bench) fillCatalog(ctx context.Context, token string) (job string, err error) {
	server := b.database.server
	if err := server.Exec(ctx, postgres.Superuser, fmt.Sprintf("create role %s superuser login password '%s'", watcher, password), "create database catalog owner "+watcher); err != nil {
		return "", err
	}
	c, err := catalog.Open(ctx, server.URL(watcher, password, "catalog"))
	if err != nil {
		return "", err
	}
	defer c.Close()
	by := catalog.Actor{Name: "bench", Door: "bench"}
	err = c.Change(ctx, by, func(tx *catalog.Tx) error {
		_, err := tx.AddToken(catalog.Token{Name: "bench", Role: "admin"}, token)
		return err
	})
	for i := 0; i < apiTenants && err == nil; i++ {
		name := fmt.Sprintf("tenant-%04d", i)
		err = c.Change(ctx, by, func(tx *catalog.Tx) error {
			if err := tx.Create(catalog.User, name, "", catalog.Settings{"verifier": b.database.verifier}); err != nil {
				return err
			}
			settings := catalog.Settings{"cluster": "main", "database": name, "user": name, "pool_size": int64(5), "query_timeout": "30s"}
			return tx.Create(catalog.Tenant, name, "", settings)
		})
	}
	for i := 0; i < apiJobs && err == nil; i++ {
		err = c.Change(ctx, by, func(tx *catalog.Tx) error {
			o, err := tx.Begin("suspend", fmt.Sprintf("tenant-%04d", i%apiTenants), nil)
			if err != nil {
				return err
			}
			job = o.ID
			return tx.End(o, catalog.Done, "", nil)
		})
	}
	if err == nil {
		err = server.Exec(ctx, "catalog", "analyze")
	}
	return job, err
}

// startAPI starts a Howdah with that catalog.
func (b *bench) startAPI(ctx context.Context) (*pooler, string, error) {
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	web, err := freePort()
	if err != nil {
		return nil, "", err
	}
	server := b.database.server
	var text strings.Builder
	fmt.Fprintf(&text, "[listen]\naddresses = [\"127.0.0.1:%d\"]\nunix_socket_dir = \"\"\n", port)
	fmt.Fprintf(&text, "[admin]\nhttp = \"127.0.0.1:%d\"\nrequests_per_second = 0\n[server]\nlog_level = \"warn\"\n", web)
	fmt.Fprintf(&text, "[catalog]\nurl = %q\n", server.URL(watcher, password, "catalog"))
	fmt.Fprintf(&text, "[[cluster]]\nname = \"main\"\nmembers = [%q]\nadmin_url = %q\ntls_mode = \"disable\"\n", server.Address(), server.URL(watcher, password, postgres.Superuser))
	fmt.Fprintf(&text, "[[tenant]]\nname = %q\ncluster = \"main\"\n[[user]]\nname = %q\nverifier = %q\n", tenant, tenant, b.database.verifier)
	path := filepath.Join(b.dir, fmt.Sprintf("howdah-%d.toml", port))
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return nil, "", err
	}
	binary := filepath.Join(b.dir, "howdah")
	if err := copyProgram(b.programs.howdah, binary); err != nil {
		return nil, "", err
	}
	p, err := b.launch(ctx, howdah, port, []string{binary, "serve", "-c", path}, poolerURL(port, tenant, tenant))
	return p, fmt.Sprintf("http://127.0.0.1:%d/api/v1", web), err
}

// reader asks the API.
type reader struct {
	url, token string
	client     *http.Client
}

// await waits until the registry has what the catalog holds.
func (r *reader) await(ctx context.Context) error {
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		text, err := r.get(ctx, "/tenants")
		var all []struct{ Name string }
		if err == nil && json.Unmarshal(text, &all) == nil && len(all) == apiTenants {
			return nil // that is the limit: with howdah.toml's own there is one more
		}
		if time.Now().After(end) {
			return fmt.Errorf("the API tells of %d tenants: %w", len(all), errors.Join(err, ctx.Err()))
		}
	}
}

func (r *reader) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+r.token)
	answer, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", path, answer.Status, text)
	}
	return text, err
}

// many has clients ask for a while, and returns the milliseconds of each answer.
func (r *reader) many(ctx context.Context, path string, clients int, length time.Duration) (series, error) {
	for range clients { // connections, and what is made once
		if _, err := r.get(ctx, path); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	var all series
	var failed error
	var asking sync.WaitGroup
	until := time.Now().Add(length)
	for range clients {
		asking.Go(func() {
			var own series
			var err error
			for begun := time.Now(); begun.Before(until) && err == nil; begun = time.Now() {
				_, err = r.get(ctx, path)
				own = append(own, time.Since(begun).Seconds()*1000)
			}
			mu.Lock()
			defer mu.Unlock()
			all, failed = append(all, own...), errors.Join(failed, err)
		})
	}
	asking.Wait()
	return all, failed
}
