package store_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"howdah/backup/store"
	"howdah/backup/store/storetest"
)

// fault is what a badProxy does to a request.
type fault string

const (
	passes      fault = ""
	slowDown    fault = "answered with 503 SlowDown"
	serverError fault = "answered with 500 and a page of HTML"
	resetBefore fault = "reset before it is read to its end"
	resetAfter  fault = "done, and the answer lost"
	cutAnswer   fault = "done, and half of the answer lost"
	flippedBit  fault = "changed on its way"
	hangs       fault = "never answered"
)

// badProxy stands between a store and a server, as a bad network would.
type badProxy struct {
	server *httptest.Server
	to     *httputil.ReverseProxy

	mu     sync.Mutex
	fault  func(r *http.Request) fault // nil: all passes
	seen   []string                    // methods and what of the query tells requests apart
	header http.Header                 // of the last request with a body
}

func newBadProxy(t *testing.T, s *storetest.S3) *badProxy {
	t.Helper()
	text, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(text)
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &badProxy{to: &httputil.ReverseProxy{
		// The signature is for the host that the client has asked.
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		Transport:    &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, MaxIdleConnsPerHost: 32},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}
	p.server = httptest.NewUnstartedServer(p)
	p.server.Config.ErrorLog = nil
	p.server.StartTLS()
	t.Cleanup(p.server.Close)
	return p
}

// url changes a store's URL so that it leads through the proxy.
func (p *badProxy) url(t *testing.T, where string) string {
	t.Helper()
	u, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "proxy.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("endpoint", p.server.URL)
	query.Set("ca_file", ca)
	u.RawQuery = query.Encode()
	return u.String()
}

// breaks has the proxy do that from now on, and forgets what it has seen.
func (p *badProxy) breaks(fault func(r *http.Request) fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.seen = fault, nil
}

// requests are those since breaks.
func (p *badProxy) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.seen...)
}

func (p *badProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	what := r.Method
	for _, name := range []string{"uploads", "uploadId", "list-type"} {
		if r.URL.Query().Has(name) {
			what += " " + name
		}
	}
	p.seen = append(p.seen, what)
	if r.ContentLength > 0 {
		p.header = r.Header.Clone()
	}
	f := passes
	if p.fault != nil {
		f = p.fault(r)
	}
	p.mu.Unlock()
	switch f {
	case slowDown:
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, `<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
		return
	case serverError:
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, "<html>oops")
		return
	case resetBefore:
		io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		reset(w)
		return
	case resetAfter, cutAnswer:
		answer := httptest.NewRecorder()
		p.to.ServeHTTP(answer, r)
		if f == cutAnswer {
			for name, values := range answer.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.Code)
			w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
			http.NewResponseController(w).Flush()
		}
		reset(w)
		return
	case flippedBit:
		body, _ := io.ReadAll(r.Body)
		if len(body) > 0 {
			body[len(body)/2] ^= 0x10
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	case hangs:
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return
	}
	p.to.ServeHTTP(w, r)
}

// reset breaks the connection.
func reset(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tls, ok := conn.(*tls.Conn); ok {
		if tcp, ok := tls.NetConn().(*net.TCPConn); ok {
			tcp.SetLinger(0)
			tcp.Close()
		}
	}
	conn.Close()
}

// nth has the fault hit the n-th request, counted from 1, that match counts.
func nth(n int, f fault, match func(r *http.Request) bool) func(r *http.Request) fault {
	return func(r *http.Request) fault {
		if match(r) {
			if n--; n == 0 {
				return f
			}
		}
		return passes
	}
}

func isPut(r *http.Request) bool { return r.Method == http.MethodPut }
func isGet(r *http.Request) bool {
	return r.Method == http.MethodGet && !r.URL.Query().Has("list-type")
}

func isList(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Has("list-type")
}

// throughProxy opens a store in a bucket of its own, through a proxy.
func throughProxy(t *testing.T, s *storetest.S3, options ...string) (*badProxy, *store.S3) {
	t.Helper()
	p := newBadProxy(t, s)
	bucket := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	return p, storetest.OpenS3(t, p.url(t, s.URL(t, bucket[max(0, len(bucket)-60):], "p", options...)))
}
