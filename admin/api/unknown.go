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
		rw.Header().Set("Content-Type", "application/problem+json")
		rw.WriteHeader(muxs.status)
		_ = json.NewEncoder(rw).Encode(huma.NewError(muxs.status, what)) // who asked has gone if this fails
	})
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
