package catalog

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Token lets its holder use the HTTP API. What it is is known to its holder alone.
type Token struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Role    string     `json:"role"`             // viewer, operator, admin or tenant
	Tenant  string     `json:"tenant,omitempty"` // the one it is bound to
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`

	OldUntil *time.Time `json:"old_until,omitempty" doc:"until when it is let in by the text that it had before, too"`
}

// tokenPrefix makes tokens easy to find for those who look for secrets in files.
const tokenPrefix = "howdah_"

// NewTokenText returns a token with 256 random bits.
func NewTokenText() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// hashToken needs no salt and no slow hash: nobody guesses 256 bits.
func hashToken(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

const tokenColumns = "id::text, name, role, coalesce(tenant, ''), created_at, expires_at, case when old_until > now() then old_until end"

func scanToken(row pgx.CollectableRow) (t Token, err error) {
	err = row.Scan(&t.ID, &t.Name, &t.Role, &t.Tenant, &t.Created, &t.Expires, &t.OldUntil)
	return t, err
}

// AddToken adds a token of which the text is given.
func (t *Tx) AddToken(token Token, text string) (*Token, error) {
	rows, err := t.tx.Query(t.ctx, "insert into howdah.token (name, role, tenant, hash, expires_at) values ($1, $2, nullif($3, ''), $4, $5) returning "+tokenColumns,
		token.Name, token.Role, token.Tenant, hashToken(text), token.Expires)
	if err != nil {
		return nil, fmt.Errorf("add token: %w", err)
	}
	made, err := pgx.CollectExactlyOneRow(rows, scanToken)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" {
		return nil, fmt.Errorf("token %q: %w", token.Name, ErrExists)
	}
	if err != nil {
		return nil, fmt.Errorf("add token: %w", err)
	}
	return &made, t.audit("create", "token", token.Name, nil, Settings{"role": token.Role, "tenant": token.Tenant})
}

// RotateToken gives a token another text. The one before goes on for overlap, and any older
// one ends.
func (t *Tx) RotateToken(name, text string, overlap time.Duration) (*Token, error) {
	rows, err := t.tx.Query(t.ctx, `update howdah.token set hash = $2,
		old_hash = case when $3 > interval '0' then hash end, old_until = case when $3 > interval '0' then now() + $3 end
		where name = $1 returning `+tokenColumns, name, hashToken(text), overlap)
	if err != nil {
		return nil, fmt.Errorf("rotate token: %w", err)
	}
	made, err := pgx.CollectExactlyOneRow(rows, scanToken)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("token %q: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("rotate token: %w", err)
	}
	return &made, t.audit("rotate", "token", name, nil, Settings{"overlap": overlap.String()})
}

// DeleteToken ends a token.
func (t *Tx) DeleteToken(name string) error {
	tag, err := t.tx.Exec(t.ctx, "delete from howdah.token where name = $1", name)
	if err != nil {
		return fmt.Errorf("delete token: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("token %q: %w", name, ErrNotFound)
	}
	return t.audit("delete", "token", name, nil, nil)
}

// Tokens returns all tokens, by name.
func (c *Catalog) Tokens(ctx context.Context) ([]Token, error) {
	rows, err := c.pool.Query(ctx, "select "+tokenColumns+" from howdah.token order by name collate \"C\"")
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return pgx.CollectRows(rows, scanToken)
}

// TokenOf returns the token that a text is, or was if that goes on, or ErrNotFound, of one
// that has expired too.
func (c *Catalog) TokenOf(ctx context.Context, text string) (*Token, error) {
	rows, err := c.pool.Query(ctx, "select "+tokenColumns+" from howdah.token where (hash = $1 or old_hash = $1 and old_until > now()) and (expires_at is null or expires_at > now())", hashToken(text))
	if err != nil {
		return nil, fmt.Errorf("look up token: %w", err)
	}
	token, err := pgx.CollectExactlyOneRow(rows, scanToken)
	if err != nil {
		return nil, fmt.Errorf("look up token: %w", found(err))
	}
	return &token, nil
}
