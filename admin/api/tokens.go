package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"howdah/tenants/catalog"
)

// NewToken is a token with its text, which is told once.
type NewToken struct {
	catalog.Token
	Text string `json:"token" doc:"told once: keep it"`
}

// Me is who asks.
type Me struct {
	Name string `json:"name" doc:"the token's, or the certificate's"`
	Role string `json:"role" enum:"viewer,operator,admin"`
}

func (s *server) tokens(api huma.API) {
	huma.Register(api, operation("get-me", "GET", "/me", "Tell who asks, and with what role", viewer), s.getMe)
	huma.Register(api, operation("list-tokens", "GET", "/tokens", "List tokens", admin), s.listTokens)
	huma.Register(api, operation("create-token", "POST", "/tokens", "Make a token", admin, func(o *huma.Operation) { o.DefaultStatus = 201 }), s.createToken)
	huma.Register(api, operation("rotate-token", "POST", "/tokens/{name}/rotate", "Give a token another text; the old one may go on for a while", admin), s.rotateToken)
	huma.Register(api, operation("delete-token", "DELETE", "/tokens/{name}", "End a token", admin), s.deleteToken)
}

func (s *server) getMe(ctx context.Context, _ *struct{}) (*struct{ Body Me }, error) {
	return &struct{ Body Me }{Me{actor(ctx).Name, roleName(ctx)}}, nil
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
	made, text, err := f.CreateToken(ctx, actor(ctx), catalog.Token{Name: b.Name, Role: b.Role, Tenant: b.Tenant, Expires: b.Expires})
	if err != nil {
		return nil, s.problem(err)
	}
	return &struct{ Body NewToken }{NewToken{*made, text}}, nil
}

func (s *server) rotateToken(ctx context.Context, in *struct {
	ByName
	Body struct {
		Overlap float64 `json:"overlap,omitempty" minimum:"0" maximum:"31622400" doc:"for how many seconds the old text goes on; 0, if not given, ends it at once"`
	}
},
) (*struct{ Body NewToken }, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	made, text, err := f.RotateToken(ctx, actor(ctx), in.Name, time.Duration(in.Body.Overlap*float64(time.Second)))
	if err != nil {
		return nil, s.problem(err)
	}
	return &struct{ Body NewToken }{NewToken{*made, text}}, nil
}

func (s *server) deleteToken(ctx context.Context, in *ByName) (*struct{}, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	return nil, s.problem(f.DeleteToken(ctx, actor(ctx), in.Name))
}
