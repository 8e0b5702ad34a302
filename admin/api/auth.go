package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"howdah/tenants/catalog"
)

// role is what a token lets its holder do.
type role int

// The roles. Each may do what those before it may.
const (
	viewer role = iota + 1
	operator
	admin
)

// roleOf returns a token's role, 0 for one that is bound to a tenant.
func roleOf(t *catalog.Token) role {
	switch t.Role {
	case "viewer":
		return viewer
	case "operator":
		return operator
	case "admin":
		return admin
	}
	return 0
}

type actorKey struct{}

type adminKey struct{}

// isAdmin reports whether who asks has the role admin.
func isAdmin(ctx context.Context) bool {
	is, _ := ctx.Value(adminKey{}).(bool)
	return is
}

// actor is who asks.
func actor(ctx context.Context) catalog.Actor {
	a, _ := ctx.Value(actorKey{}).(catalog.Actor)
	return a
}

// authenticate lets nobody through whose token does not allow what is asked for.
func (s *server) authenticate(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(c huma.Context, next func(huma.Context)) {
		token, status, why := s.token(c)
		if status == 0 && !may(token, c) {
			status, why = http.StatusForbidden, "the token's role is "+token.Role+", which does not allow this"
		}
		if status == http.StatusUnauthorized {
			c.SetHeader("WWW-Authenticate", `Bearer realm="howdah"`)
		}
		if status != 0 {
			_ = huma.WriteErr(api, c, status, why) // who asked has gone if this fails
			return
		}
		host, _, err := net.SplitHostPort(c.RemoteAddr())
		if err != nil {
			host = c.RemoteAddr()
		}
		c = huma.WithValue(c, adminKey{}, roleOf(token) == admin)
		next(huma.WithValue(c, actorKey{}, catalog.Actor{Name: token.Name, Door: "http", From: host}))
	}
}

// token looks up the request's token. status is 0 if there is one that is valid.
func (s *server) token(c huma.Context) (token *catalog.Token, status int, why string) {
	text, ok := strings.CutPrefix(c.Header("Authorization"), "Bearer ")
	if !ok || text == "" {
		return nil, http.StatusUnauthorized, "send a token: Authorization: Bearer …"
	}
	f, err := s.Fleet()
	if err != nil {
		return nil, http.StatusServiceUnavailable, err.Error()
	}
	token, err = f.Catalog.TokenOf(c.Context(), text)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, http.StatusUnauthorized, "no such token, or it has expired"
	}
	if err != nil {
		s.Log.Warn("cannot look up a token", "error", err)
		return nil, http.StatusServiceUnavailable, "the catalog is away, and with it who may do what"
	}
	return token, 0, ""
}

// may reports whether a token allows an endpoint.
func may(token *catalog.Token, c huma.Context) bool {
	o := c.Operation()
	least, _ := o.Metadata["least"].(role)
	if least == 0 {
		return false // it was not said who may
	}
	if token.Role == "tenant" {
		own, _ := o.Metadata["own"].(bool)
		return own && c.Param("name") == token.Tenant
	}
	return roleOf(token) >= least
}
