package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"howdah/admin/fleet"
	"howdah/provision"
	"howdah/tenants/catalog"
)

// NewToken is a token with its text, which is told once.
type NewToken struct {
	catalog.Token
	Text string `json:"token" doc:"told once: keep it"`
}

func (s *server) tokens(api huma.API) {
	huma.Register(api, operation("list-tokens", "GET", "/tokens", "List tokens", admin), s.listTokens)
	huma.Register(api, operation("create-token", "POST", "/tokens", "Make a token", admin, func(o *huma.Operation) { o.DefaultStatus = 201 }), s.createToken)
	huma.Register(api, operation("delete-token", "DELETE", "/tokens/{name}", "End a token", admin), s.deleteToken)
}

func (s *server) listTokens(ctx context.Context, _ *struct{}) (*struct{ Body []catalog.Token }, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	all, err := f.Catalog.Tokens(ctx)
	if err != nil {
		return nil, s.problem(err)
	}
	return &struct{ Body []catalog.Token }{append([]catalog.Token{}, all...)}, nil
}

func (s *server) createToken(ctx context.Context, in *struct {
	Body struct {
		Name    string     `json:"name" maxLength:"63"`
		Role    string     `json:"role" enum:"viewer,operator,admin,tenant"`
		Tenant  string     `json:"tenant,omitempty" doc:"the tenant that a token of role tenant is bound to"`
		Expires *time.Time `json:"expires,omitempty"`
	}
},
) (*struct{ Body NewToken }, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	b := &in.Body
	if err := provision.ValidName(b.Name); err != nil {
		return nil, s.problem(&fleet.InvalidError{Field: "name", Reason: err})
	}
	if (b.Role == "tenant") != (b.Tenant != "") {
		return nil, huma.Error422UnprocessableEntity("a token of role tenant names its tenant, and no other does")
	}
	if b.Expires != nil && b.Expires.Before(time.Now()) {
		return nil, huma.Error422UnprocessableEntity("the token would have expired already")
	}
	made := NewToken{Text: catalog.NewTokenText()}
	err = f.Catalog.Change(ctx, actor(ctx), func(tx *catalog.Tx) error {
		token, err := tx.AddToken(catalog.Token{Name: b.Name, Role: b.Role, Tenant: b.Tenant, Expires: b.Expires}, made.Text)
		if err == nil {
			made.Token = *token
		}
		return err
	})
	if err != nil {
		return nil, s.problem(err)
	}
	return &struct{ Body NewToken }{made}, nil
}

func (s *server) deleteToken(ctx context.Context, in *ByName) (*struct{}, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	return nil, s.problem(f.Catalog.Change(ctx, actor(ctx), func(tx *catalog.Tx) error { return tx.DeleteToken(in.Name) }))
}
