package api

import (
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// orProblem answers what no endpoint is for as endpoints answer: with problem+json, where
// ServeMux has plain text.
func orProblem(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(rw, r)
			return
		}
		muxs := &refused{header: http.Header{}}
		h.ServeHTTP(muxs, r)
		what := "there is no such endpoint: /openapi.json has those that there are"
		switch muxs.status {
		case http.StatusNotFound:
		case http.StatusMethodNotAllowed:
			allow := muxs.header.Get("Allow")
			rw.Header().Set("Allow", allow)
			what = "the endpoint does not take this method, but " + allow
		default: // another spelling of the path
			mux.ServeHTTP(rw, r)
			return
		}
		tellProblem(rw, muxs.status, what)
	})
}

// tellProblem answers with an error outside of huma.
func tellProblem(rw http.ResponseWriter, status int, what string) {
	rw.Header().Set("Content-Type", "application/problem+json")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(huma.NewError(status, what)) // who asked has gone if this fails
}

// fromHere lets no other site's page have a browser change something: it would show the
// client certificate that its user has, whoever asks for it.
func fromHere(next http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	p.SetDenyHandler(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		tellProblem(rw, http.StatusForbidden, "a page of another site has asked for this, and may not")
	}))
	return p.Handler(next)
}

// refused keeps what a handler would answer, without the text.
type refused struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (r *refused) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *refused) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *refused) Write(text []byte) (int, error) { return len(text), nil }
