package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

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

type roleKey struct{}

// roleName is the role of who asks.
func roleName(ctx context.Context) string {
	name, _ := ctx.Value(roleKey{}).(string)
	return name
}

// isAdmin reports whether who asks has the role admin.
func isAdmin(ctx context.Context) bool { return roleName(ctx) == "admin" }

// mayChooseStore is the answer to who is not to say where a tenant's data is stored.
func mayChooseStore(ctx context.Context) error {
	if isAdmin(ctx) {
		return nil
	}
	return huma.Error403Forbidden("the token's role is " + roleName(ctx) + ", and only an admin says in which store a tenant's data is kept: by export_store, by a tier with another one, or by another_store")
}

// actor is who asks.
func actor(ctx context.Context) catalog.Actor {
	a, _ := ctx.Value(actorKey{}).(catalog.Actor)
	return a
}

// refusal is why a request is not answered.
type refusal struct {
	status int
	why    string
	after  time.Duration // when it may be asked again; 0 = that does not help
}

// authenticate lets nobody through whose token does not allow what is asked for.
func (s *server) authenticate(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(c huma.Context, next func(huma.Context)) {
		token, no := s.identify(c)
		if no == nil && !may(token, c) {
			no = &refusal{status: http.StatusForbidden, why: "the token's role is " + token.Role + ", which does not allow this"}
		}
		if no != nil {
			refuse(api, c, no)
			return
		}
		c = huma.WithValue(c, roleKey{}, token.Role)
		next(huma.WithValue(c, actorKey{}, catalog.Actor{Name: token.Name, Door: "http", From: hostOf(c.RemoteAddr())}))
	}
}

func refuse(api huma.API, c huma.Context, no *refusal) {
	if no.status == http.StatusUnauthorized {
		c.SetHeader("WWW-Authenticate", `Bearer realm="howdah"`)
	}
	if no.after > 0 {
		c.SetHeader("Retry-After", strconv.Itoa(retryAfter(no.after)))
	}
	_ = huma.WriteErr(api, c, no.status, no.why) // who asked has gone if this fails
}

// identify finds out who asks: by a token, else by a client certificate.
func (s *server) identify(c huma.Context) (*catalog.Token, *refusal) {
	text, given := strings.CutPrefix(c.Header("Authorization"), "Bearer ")
	name := commonName(c.TLS())
	switch {
	case given && text != "":
		return s.byToken(c, text)
	case name == "":
		return nil, &refusal{status: http.StatusUnauthorized, why: "send a token: Authorization: Bearer …"}
	}
	role := ""
	if s.ClientRole != nil {
		role = s.ClientRole(name)
	}
	if role == "" {
		return nil, &refusal{status: http.StatusUnauthorized, why: fmt.Sprintf("certificate %q has no role: client_roles in [admin] give it one", name)}
	}
	who := "certificate " + name
	return &catalog.Token{Name: who, Role: role}, s.tooMany(who)
}

// commonName is of a client certificate that was verified, "" for none.
func commonName(state *tls.ConnectionState) string {
	if state == nil || len(state.VerifiedChains) == 0 {
		return ""
	}
	return state.PeerCertificates[0].Subject.CommonName
}

func (s *server) byToken(c huma.Context, text string) (*catalog.Token, *refusal) {
	key, address := tokenKey(text), hostOf(c.RemoteAddr())
	if wait := s.rates.guessing(address); wait > 0 && !s.rates.knows(key) {
		return nil, &refusal{http.StatusTooManyRequests, "too many wrong tokens have come from " + address, wait}
	}
	f, err := s.Fleet()
	if err != nil {
		return nil, &refusal{status: http.StatusServiceUnavailable, why: err.Error()}
	}
	token, err := f.Catalog.TokenOf(c.Context(), text)
	if errors.Is(err, catalog.ErrNotFound) {
		s.rates.failed(address)
		return nil, &refusal{status: http.StatusUnauthorized, why: "no such token, or it has expired"}
	}
	if err != nil {
		s.Log.Warn("cannot look up a token", "error", err)
		return nil, &refusal{status: http.StatusServiceUnavailable, why: "the catalog is away, and with it who may do what"}
	}
	return token, s.tooMany(key)
}

// tooMany counts a request, and refuses it where there have been too many.
func (s *server) tooMany(who string) *refusal {
	if wait := s.rates.spend(who); wait > 0 {
		return &refusal{http.StatusTooManyRequests, "more requests a second than requests_per_second in [admin] allows", wait}
	}
	return nil
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
