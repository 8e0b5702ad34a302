package admin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"howdah/admin"
	"howdah/admin/page"
	"howdah/router"
)

// startWeb serves w and returns its base URL.
func startWeb(t *testing.T, w *admin.Web) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// scrape reads /metrics as Prometheus does.
func scrape(t *testing.T, base string) map[string]*dto.MetricFamily {
	t.Helper()
	status, body := get(t, base+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	return families
}

// value returns the number behind name with the given label values, in the
// labels' alphabetical order.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range families[name].GetMetric() {
		var have []string
		for _, l := range m.GetLabel() {
			have = append(have, l.GetValue())
		}
		if strings.Join(have, "|") != strings.Join(labels, "|") {
			continue
		}
		if m.Counter != nil {
			return m.Counter.GetValue()
		}
		return m.Gauge.GetValue()
	}
	t.Errorf("no %s%q", name, labels)
	return -1
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	base := startWeb(t, &admin.Web{Registry: admin.NewRegistry(busyPooler(), "1.0")})
	families := scrape(t, base)
	for _, want := range []struct {
		value  float64
		name   string
		labels []string
	}{
		{1, "howdah_build_info", []string{"1.0"}},
		{float64(fixedTime().Unix()), "howdah_start_time_seconds", nil},
		{12, "howdah_clients", nil},
		{1, "howdah_clients_logging_in", nil},
		{6, "howdah_servers", nil},
		{0, "howdah_paused", nil},
		{99, "howdah_clients_accepted_total", nil},
		{4, "howdah_clients_refused_total", []string{"53300"}},
		{2, "howdah_pool_clients", []string{"acme", "active", "acme"}},
		{3, "howdah_pool_clients", []string{"acme", "idle", "acme"}},
		{4, "howdah_pool_clients", []string{"acme", "waiting", "acme"}},
		{5, "howdah_pool_servers", []string{"acme", "active", "acme"}},
		{10, "howdah_pool_servers", []string{"acme", "closing", "acme"}},
		{2.500001, "howdah_pool_max_wait_seconds", []string{"acme", "acme"}},
		{2, "howdah_pool_servers_closed_total", []string{"acme", "server_lifetime", "report"}},
		{2, "howdah_pool_transactions_total", []string{"globex", "globex"}},
		{6e-6, "howdah_pool_transaction_seconds_total", []string{"globex", "globex"}},
		{4, "howdah_pool_received_bytes_total", []string{"globex", "globex"}},
		{11, "howdah_pool_binds_total", []string{"globex", "globex"}},
		{20, "howdah_database_pool_size", []string{"acme"}},
		{1, "howdah_database_paused", []string{"acme"}},
		{0, "howdah_database_paused", []string{"globex"}},
		{4, "howdah_loop_connections", []string{"1"}},
		{200, "howdah_loop_turns_total", []string{"1"}},
	} {
		if got := value(t, families, want.name, want.labels...); got != want.value {
			t.Errorf("%s%q is %v, want %v", want.name, want.labels, got, want.value)
		}
	}
	for _, name := range []string{"go_goroutines", "process_cpu_seconds_total", "process_resident_memory_bytes"} {
		if families[name] == nil {
			t.Errorf("no %s", name)
		}
	}
}

// TestMetricsSurviveOddNames: one tenant's strange name must not hide all.
func TestMetricsSurviveOddNames(t *testing.T) {
	t.Parallel()
	p := &fakePooler{
		stats: router.Stats{Pools: []router.PoolStats{
			{Database: "a\xff", User: "\"\\\n"}, {Database: "a\xfe", User: "\"\\\n"}, {Database: "", User: ""},
		}},
		databases: []router.DatabaseStats{{Name: "postgres", CurrentConnections: 1}, {Name: "postgres", CurrentConnections: 2}},
	}
	families := scrape(t, startWeb(t, &admin.Web{Registry: admin.NewRegistry(p, "1.0")}))
	value(t, families, "howdah_pool_max_wait_seconds", "a\uFFFD", "\"\\\n")
	if got := value(t, families, "howdah_database_servers", "postgres"); got != 3 {
		t.Errorf("postgres has %v servers, want 3", got)
	}
}

func TestMetricsAreForLoopback(t *testing.T) {
	t.Parallel()
	h := (&admin.Web{Registry: admin.NewRegistry(&fakePooler{}, "1.0")}).Handler()
	for addr, want := range map[string]int{
		"127.0.0.1:99": 200, "[::1]:99": 200, "127.8.8.8:99": 200, "192.0.2.1:99": 403, "[2001:db8::1]:99": 403, "nonsense": 403,
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.RemoteAddr = addr
		rw := httptest.NewRecorder()
		h.ServeHTTP(rw, r)
		if rw.Code != want {
			t.Errorf("from %s: status %d, want %d", addr, rw.Code, want)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var missing error
	base := startWeb(t, &admin.Web{
		Ready:    func(context.Context) error { return missing },
		Page:     page.Handler(),
		Registry: admin.NewRegistry(&fakePooler{}, "1.0"),
	})
	expect := func(path string, wantStatus int, wantBody string) {
		t.Helper()
		if status, body := get(t, base+path); status != wantStatus || body != wantBody {
			t.Errorf("%s: %d %q, want %d %q", path, status, body, wantStatus, wantBody)
		}
	}
	expect("/livez", 200, "ok")
	expect("/readyz", 200, "ok")
	missing = errors.New("tenant acme does not answer")
	expect("/readyz", 503, "tenant acme does not answer")
	expect("/livez", 200, "ok")
	for path, want := range map[string]int{"/": 200, "/page/app.js": 200, "/nosuch": 404, "/page/nosuch": 404} {
		if status, _ := get(t, base+path); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
	resp, err := http.Post(base+"/readyz", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", resp.StatusCode)
	}
}

func TestWebLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}), make(chan struct{})
	w := &admin.Web{
		Ready: func(context.Context) error {
			close(asked)
			<-answer
			return nil
		},
		Registry: admin.NewRegistry(&fakePooler{}, "1.0"),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served, status := make(chan error, 1), make(chan int, 1)
	go func() { served <- w.Serve(ctx, l) }()
	go func() {
		resp, err := http.Get("http://" + l.Addr().String() + "/readyz")
		if err != nil {
			status <- -1
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	<-asked
	cancel()
	close(answer)
	if got := <-status; got != 200 {
		t.Errorf("the running request got %d", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestWebSaysWhyItCannotServe(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	w := &admin.Web{Registry: admin.NewRegistry(&fakePooler{}, "1.0")}
	if err := w.Serve(context.Background(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
