package api

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
)

// Asking is how something is asked for that can be tried without effect, and asked for
// again.
type Asking struct {
	DryRun         bool   `query:"dry_run" doc:"say what would be done"`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"asked a second time with the same key, it is not done a second time"`
	Authorization  string `header:"Authorization" hidden:"true"`
}

// once is of a request with an Idempotency-Key; nil where it has none. An answer that has a
// password is kept sealed with the client's token, which one with a certificate has not.
func (a *Asking) once(ctx context.Context, password bool) (*fleet.Once, error) {
	switch token := strings.HasPrefix(a.Authorization, "Bearer "); {
	case a.IdempotencyKey == "":
		return nil, nil
	case token:
		return &fleet.Once{Key: a.IdempotencyKey, Secret: a.Authorization}, nil
	case password:
		return nil, huma.Error422UnprocessableEntity("an Idempotency-Key needs a token here: the answer has a password in it, and is kept sealed with the token; a certificate seals nothing")
	}
	return &fleet.Once{Key: a.IdempotencyKey, Secret: actor(ctx).Name}, nil
}

// location is where an operation is told of; "" where there is none, after a dry run.
func location(o *catalog.Operation) string {
	if o == nil {
		return ""
	}
	return prefix + "/jobs/" + o.ID
}
