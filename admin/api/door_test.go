package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"howdah/admin"
	"howdah/admin/api"
	"howdah/tenants/catalog"
	"howdah/wire/wiretest"
)

func TestFigures(t *testing.T) {
	d := newDesk(t)
	var pools []api.Pool
	if _, text, _ := d.ask("GET", "/api/v1/pools", d.tokens["viewer"], ""); json.Unmarshal([]byte(text), &pools) != nil || len(pools) != 3 {
		t.Fatal(text)
	}
	if p := pools[0]; p.Database != "acme" || p.ClActive != 3 || p.SvIdle != 4 || p.MaxWait != 1 || p.MaxWaitMicroseconds != 500_000 {
		t.Errorf("%+v", p)
	}
	var stats []api.Stats
	if _, text, _ := d.ask("GET", "/api/v1/stats?database=acme", d.tokens["viewer"], ""); json.Unmarshal([]byte(text), &stats) != nil || len(stats) != 1 {
		t.Fatal(text)
	}
	if s := stats[0]; s.Total.Transactions != 4 || s.Total.Queries != 6 {
		t.Errorf("%+v", s)
	}
	var globex, acme api.Tenant
	if _, text, _ := d.ask("GET", "/api/v1/tenants/globex", d.tokens["viewer"], ""); json.Unmarshal([]byte(text), &globex) != nil || globex.Quota == nil || *globex.Quota != (api.Quota{Bytes: 1 << 30, Size: 2 << 30, State: "over"}) {
		t.Errorf("%s", text)
	}
	if _, text, _ := d.ask("GET", "/api/v1/tenants/acme", d.tokens["viewer"], ""); json.Unmarshal([]byte(text), &acme) != nil || acme.Quota != nil {
		t.Errorf("%s", text)
	}
	var cluster api.Entry
	if _, text, _ := d.ask("GET", "/api/v1/clusters/main", d.tokens["viewer"], ""); json.Unmarshal([]byte(text), &cluster) != nil || cluster.Seats == nil || *cluster.Seats != (api.Seats{Used: 12, WaitingTenants: 2, Moved: 7}) {
		t.Errorf("%s", text)
	}
}

// The pools over HTTP have the columns of SHOW POOLS, but for one that is always NULL.
func TestPoolsAreTheConsoles(t *testing.T) {
	var names []string
	text, _ := json.Marshal(api.Pool{})
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	want := strings.Fields("cl_active cl_active_cancel_req cl_waiting cl_waiting_cancel_req database maxwait maxwait_us pool_mode " +
		"sv_active sv_active_cancel sv_being_canceled sv_idle sv_login sv_tested sv_used user")
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestTooManyRequests(t *testing.T) {
	d := newDesk(t)
	const path = "/api/v1/tiers"
	d.limits.Store(&api.Limits{Requests: 1})
	for refused, end := false, time.Now().Add(time.Minute); !refused; {
		status, text, header := d.ask("GET", path, d.tokens["viewer"], "")
		if status == http.StatusOK && time.Now().Before(end) {
			continue // the second before was longer ago
		}
		refused = true
		if status != http.StatusTooManyRequests || header.Get("Retry-After") != "1" || header.Get("Content-Type") != "application/problem+json" {
			t.Fatalf("%d %s %v", status, text, header)
		}
	}
	if status, text, _ := d.ask("GET", path, d.tokens["operator"], ""); status != http.StatusOK {
		t.Errorf("another token: %d %s", status, text)
	}
	d.limits.Store(&api.Limits{})
	for range 10 {
		if status, text, _ := d.ask("GET", path, d.tokens["viewer"], ""); status != http.StatusOK {
			t.Fatalf("without a limit: %d %s", status, text)
		}
	}
}

// Whoever guesses is told to wait, and cannot keep those out who are known.
func TestTooManyWrongTokens(t *testing.T) {
	d := newDesk(t)
	d.limits.Store(&api.Limits{Failures: 2})
	const path = "/api/v1/tiers"
	if status, text, _ := d.ask("GET", path, d.tokens["viewer"], ""); status != http.StatusOK {
		t.Fatal(status, text)
	}
	var got []int
	for range 4 {
		status, _, _ := d.ask("GET", path, catalog.NewTokenText(), "")
		got = append(got, status)
	}
	if got[0] != 401 || got[1] != 401 || got[3] != 429 { // the third is let through where the two took 30 s
		t.Errorf("wrong tokens: %v", got)
	}
	if status, text, header := d.ask("GET", path, d.tokens["operator"], ""); status != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("a good token that was not seen yet: %d %s", status, text)
	}
	if status, text, _ := d.ask("GET", path, d.tokens["viewer"], ""); status != http.StatusOK {
		t.Errorf("a token that was good before: %d %s", status, text)
	}
}

// Metrics are told to those from elsewhere who may look.
func TestMetricsFromElsewhere(t *testing.T) {
	d := newDesk(t)
	w := &admin.Web{Guard: d.api.Guard, Registry: admin.NewRegistry(figures{}, "test")}
	handler := w.Handler()
	for role, want := range map[string]int{"": 401, "wrong": 401, "tenant": 403, "viewer": 200, "admin": 200} {
		for from, want := range map[string]int{"192.0.2.7:4711": want, "127.0.0.1:4711": 200} {
			r := httptest.NewRequest("GET", "/metrics", nil)
			r.RemoteAddr = from
			if token := d.tokens[role]; token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			} else if role != "" {
				r.Header.Set("Authorization", "Bearer howdah_wrong")
			}
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, r)
			if text := answer.Body.String(); answer.Code != want || (want == 200) != strings.Contains(text, "howdah_") {
				t.Errorf("%q from %s: %d %.200s, want %d", role, from, answer.Code, text, want)
			}
		}
	}
}

// TestClientCertificates serves over TLS, with a certificate that is exchanged meanwhile,
// and lets in who shows one.
func TestClientCertificates(t *testing.T) {
	d := newDesk(t)
	first, second := wiretest.MakeCertificate(t, t.TempDir(), "127.0.0.1"), wiretest.MakeCertificate(t, t.TempDir(), "127.0.0.1")
	authorities := x509.NewCertPool()
	var shown []tls.Certificate
	for _, name := range []string{"deploy", "grafana", "stranger", "keeper"} {
		c := wiretest.MakeCertificate(t, t.TempDir(), name)
		authorities.AddCert(c.Leaf)
		shown = append(shown, load(t, c))
	}
	unsigned := load(t, wiretest.MakeCertificate(t, t.TempDir(), "deploy"))
	var config atomic.Pointer[tls.Config]
	config.Store(&tls.Config{ClientCAs: authorities, ClientAuth: tls.VerifyClientCertIfGiven, Certificates: []tls.Certificate{load(t, first)}})
	address := d.serve(t, config.Load)

	const made, cloned, imported, rotated = "/api/v1/tenants", "/api/v1/tenants/acme/clone", "/api/v1/imports", "/api/v1/tenants/acme/rotate"
	bodies := map[string]string{
		made: `{"name":"initech"}`, cloned: `{"name":"copy"}`, imported: `{"name":"back","export":"acme.20260131T120000Z.abcdef"}`, rotated: `{}`,
	}
	ask := func(trust *x509.CertPool, certificates []tls.Certificate, token, method, path string) (int, string) {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: trust, Certificates: certificates}, DisableKeepAlives: true,
		}}
		r, err := http.NewRequestWithContext(t.Context(), method, "https://"+address+path, strings.NewReader(bodies[path]))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "mine")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := client.Do(r)
		if err != nil {
			return 0, err.Error()
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text)
	}
	const list, suspend, tokens = "/api/v1/tiers", "/api/v1/tenants/acme/suspend", "/api/v1/tokens"
	for _, test := range []struct {
		what         string
		certificates []tls.Certificate
		token        string
		method, path string
		want         int
	}{
		{"no certificate and no token", nil, "", "GET", list, 401},
		{"a token alone", nil, d.tokens["viewer"], "GET", list, 200},
		{"an operator's certificate", shown[:1], "", "POST", suspend, 409}, // it is howdah.toml's
		{"an operator's certificate, for what admins may", shown[:1], "", "GET", tokens, 403},
		{"a viewer's certificate", shown[1:2], "", "GET", list, 200},
		{"a viewer's certificate, for what operators may", shown[1:2], "", "POST", suspend, 403},
		{"a password that a certificate cannot seal", shown[:1], "", "POST", made, 422},
		{"a clone's password that a certificate cannot seal", shown[3:], "", "POST", cloned, 422},
		{"an imported tenant's password that a certificate cannot seal", shown[3:], "", "POST", imported, 422},
		{"a rotated password that a certificate cannot seal", shown[3:], "", "POST", rotated, 422},
		{"a password that a token seals", shown[:1], d.tokens["operator"], "POST", made, 202},
		{"a certificate without a role", shown[2:3], "", "GET", list, 401},
		{"a token goes before a certificate", shown[:1], d.tokens["viewer"], "POST", suspend, 403},
		{"a certificate that nobody signed", []tls.Certificate{unsigned}, "", "GET", list, 0},
	} {
		if status, text := ask(first.Pool, test.certificates, test.token, test.method, test.path); status != test.want {
			t.Errorf("%s: %d %s, want %d", test.what, status, text, test.want)
		}
	}

	next := config.Load().Clone()
	next.Certificates = []tls.Certificate{load(t, second)}
	config.Store(next)
	if status, text := ask(second.Pool, nil, "", "GET", "/livez"); status != 200 {
		t.Errorf("another certificate is not shown: %s", text)
	}
	if status, _ := ask(first.Pool, nil, "", "GET", "/livez"); status != 0 {
		t.Error("the certificate before is still shown")
	}
}

func load(t *testing.T, c wiretest.Certificate) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// serve has the desk's API on a port with TLS too, and returns its address.
func (d *desk) serve(t *testing.T, config func() *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		w := &admin.Web{API: d.server.Config.Handler, TLS: config, Registry: admin.NewRegistry(figures{}, "test")}
		served <- w.Serve(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
