package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// readyTimeout bounds how long /readyz may think.
	readyTimeout = 5 * time.Second
	// drainTimeout is how long requests may go on after the end was asked for.
	drainTimeout = 5 * time.Second
)

// Web is the HTTP door: /livez, /readyz, /metrics, the API and the page. Its fields do not
// change once it serves.
type Web struct {
	API      http.Handler                    // of package admin/api; nil = none
	Page     http.Handler                    // of package admin/page; nil = none
	Guard    func(http.Handler) http.Handler // lets in who may look, from elsewhere; nil = nobody
	TLS      func() *tls.Config              // for the next connection; nil, or returning nil: clear text
	Log      *slog.Logger                    // of what goes wrong on connections; nil = none
	Ready    func(context.Context) error     // what is missing; nil = ready as soon as it serves
	Registry *prometheus.Registry            // see NewRegistry
}

// Handler returns the door as a handler.
func (w *Web) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(rw http.ResponseWriter, _ *http.Request) {
		plain(rw, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", w.readyz)
	mux.Handle("GET /metrics", w.forLoopback(promhttp.HandlerFor(w.Registry, promhttp.HandlerOpts{
		// One bad number must not hide all others.
		ErrorHandling: promhttp.ContinueOnError,
	})))
	if w.API != nil {
		mux.Handle("/api/", w.API)
		mux.Handle("GET /openapi.json", w.API)
	}
	if w.Page != nil {
		mux.Handle("GET /{$}", w.Page)
		mux.Handle("GET /page/", w.Page)
	}
	return mux
}

// Serve answers on l until ctx ends, lets running requests finish for up to five
// seconds, and returns nil; or it returns why it cannot go on. It closes l.
func (w *Web) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           w.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	if w.Log != nil { // strangers cause most of it: it is for who looks for it
		server.ErrorLog = slog.NewLogLogger(w.Log.Handler(), slog.LevelDebug)
	}
	if w.TLS != nil {
		l = &tlsListener{l, w.TLS}
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	}
	return nil
}

// tlsListener has each connection begin TLS as it is configured then.
type tlsListener struct {
	net.Listener
	config func() *tls.Config
}

// Accept implements net.Listener.
func (l *tlsListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if config := l.config(); config != nil {
		return tls.Server(conn, config), nil
	}
	return conn, nil
}

func (w *Web) readyz(rw http.ResponseWriter, r *http.Request) {
	if w.Ready != nil {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := w.Ready(ctx); err != nil {
			plain(rw, http.StatusServiceUnavailable, err.Error())
			return
		}
	}
	plain(rw, http.StatusOK, "ok")
}

// forLoopback asks only those for a token who come from elsewhere: metrics name every
// tenant.
func (w *Web) forLoopback(next http.Handler) http.Handler {
	guarded := http.Handler(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		plain(rw, http.StatusForbidden, "metrics are told to this machine only: ask from a loopback address")
	}))
	if w.Guard != nil {
		guarded = w.Guard(next)
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			guarded.ServeHTTP(rw, r)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

func plain(rw http.ResponseWriter, status int, text string) {
	h := rw.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	rw.WriteHeader(status)
	// Who asked has gone if this fails.
	_, _ = io.WriteString(rw, text)
}
