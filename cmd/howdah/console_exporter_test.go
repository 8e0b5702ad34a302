package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"howdah/wire/wiretest"
)

// TestExporter has prometheus-community's pgbouncer_exporter scrape the console
// by both its names, as who may only look.
func TestExporter(t *testing.T) {
	t.Parallel()
	program := findExporter(t)
	p := startConsolePlace(t)
	busy, err := p.connect(t, "acme", "acme")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close(context.Background())
	for _, text := range []string{"select 1", "select 2", "begin; select 3"} {
		if _, err := busy.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	host, port := fmt.Sprintf("host=%q", p.server.Host()), fmt.Sprintf(`port="%d"`, p.server.Port())
	for _, database := range []string{"howdah", "pgbouncer"} {
		t.Run(database, func(t *testing.T) {
			body, log := p.scrape(t, program, database)
			if strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
				t.Errorf("the exporter complains:\n%s", log)
			}
			for _, line := range []string{
				`pgbouncer_up 1`,
				`pgbouncer_version_info{version="PgBouncer 1.25.2"} 1`,
				`pgbouncer_config_max_client_connections 321`,
				`pgbouncer_databases 2`,
				`pgbouncer_used_servers 1`,
				`pgbouncer_databases_pool_size{database="acme",force_user="",` + host + `,name="acme",pool_mode="transaction",` + port + `} 7`,
				`pgbouncer_pools_client_active_connections{database="acme",user="acme"} 1`,
				`pgbouncer_pools_client_waiting_connections{database="acme",user="acme"} 0`,
				`pgbouncer_pools_server_active_connections{database="acme",user="acme"} 1`,
				`pgbouncer_stats_totals_queries_pooled_total{database="acme"} 3`,
				`pgbouncer_stats_totals_sql_transactions_pooled_total{database="acme"} 2`,
			} {
				if !strings.Contains("\n"+body, "\n"+line+"\n") {
					t.Errorf("the exporter has not %q", line)
				}
			}
			if t.Failed() {
				t.Logf("it has:\n%s", body)
			}
		})
	}
}

// findExporter returns where testdata/getexporter has put the program.
func findExporter(t *testing.T) string {
	t.Helper()
	folders := []string{"/var/cache"}
	if own, err := os.UserCacheDir(); err == nil {
		folders = append(folders, own)
	}
	for _, folder := range folders {
		program := filepath.Join(folder, "howdah", "pgbouncer_exporter")
		if _, err := os.Stat(program); err == nil {
			return program
		}
	}
	t.Fatal("pgbouncer_exporter is not there; run: testdata/getexporter")
	return ""
}

// scrape runs the exporter on one of the console's databases, and returns what
// it shows and all that it has logged.
func (p *consolePlace) scrape(t *testing.T, program, database string) (body, log string) {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", wiretest.FreePort(t))
	url := fmt.Sprintf("postgres://watcher@127.0.0.1:%d/%s?sslmode=disable", p.port, database)
	cmd := exec.Command(program, "--web.listen-address="+address, "--pgBouncer.connectionString="+url)
	cmd.Env = p.environ
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := get(t, "http://"+address+"/"); err == nil || time.Now().After(end) {
			break
		}
	}
	body, err := get(t, "http://"+address+"/metrics")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil {
		t.Fatalf("scrape: %v\n%s", err, out.String())
	}
	return body, out.String()
}

func get(t *testing.T, url string) (string, error) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return string(body), err
}
