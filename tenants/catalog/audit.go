package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
)

// Record is a line of the audit log.
type Record struct {
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Door   string    `json:"door"`
	From   string    `json:"from,omitempty"`
	Action string    `json:"action"`
	Kind   Kind      `json:"kind"`
	Name   string    `json:"name"`
	Before Settings  `json:"before,omitempty"`
	After  Settings  `json:"after,omitempty"`
}

// secrets are settings that are told nobody and are in no log. Patroni's addresses may
// have a password in them.
var secrets = []string{"verifier", "old_verifiers", "server_keys", "server_secret", "admin_url", "replication_url", "base_url", "patroni", "password"}

// WithoutSecrets returns settings of which one may tell.
func (s Settings) WithoutSecrets() Settings {
	s = maps.Clone(s)
	for _, name := range secrets {
		if _, ok := s[name]; ok {
			s[name] = "(secret)"
		}
	}
	return s
}

// audit notes what the change does.
func (t *Tx) audit(action string, kind Kind, name string, before, after Settings) error {
	r := Record{
		At: time.Now().UTC().Truncate(time.Microsecond), Actor: t.actor.Name, Door: t.actor.Door, From: t.actor.From,
		Action: action, Kind: kind, Name: name, Before: before.WithoutSecrets(), After: after.WithoutSecrets(),
	}
	text, err := json.Marshal(r)
	if err == nil {
		t.last.At = r.At
		err = t.tx.QueryRow(t.ctx, appendQuery, r.At, string(text)).Scan(&t.last.Seq, &t.last.Hash)
	}
	if err != nil {
		return fmt.Errorf("write audit log: %w", err)
	}
	return nil
}

// appendQuery gives a line its number, and its hash as chain has it: of what jsonb makes
// of it, which is what is read again.
const appendQuery = `
insert into howdah.audit (seq, at, record, previous, hash)
select seq, $1, record, previous, sha256(int8send(seq) || previous || convert_to(record::text, 'UTF8'))
from (select seq, previous, $2::jsonb || jsonb_build_object('seq', seq) as record
	from (select coalesce(max(seq), 0) + 1 as seq, coalesce((select hash from howdah.audit order by seq desc limit 1), '') as previous
		from howdah.audit) last) line
returning seq, hash`

// Audit notes what was done that changes no entry.
func (t *Tx) Audit(action string, kind Kind, name string, details Settings) error {
	return t.audit(action, kind, name, nil, details)
}

// follows reports whether the line is what was written behind the one of that hash.
func (l *AuditLine) follows(previous []byte) bool {
	return bytes.Equal(l.Previous, previous) && bytes.Equal(l.Hash, chain(l.Seq, previous, l.Text))
}

// chain is the hash of a line: of its number, the hash of the line before, and its text.
func chain(seq int64, previous, text []byte) []byte {
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, seq) // a hash takes everything
	h.Write(previous)
	h.Write(text)
	return h.Sum(nil)
}

// LastSeq returns the number of the newest line, 0 for none.
func (c *Catalog) LastSeq(ctx context.Context) (seq int64, err error) {
	if err := c.pool.QueryRow(ctx, "select coalesce(max(seq), 0) from howdah.audit").Scan(&seq); err != nil {
		return 0, fmt.Errorf("read audit log: %w", err)
	}
	return seq, nil
}

// LastRecords returns the newest lines of the audit log, of what is called like a
// pattern (SQL's LIKE) or of all (""). Whether they are what was written AuditLog says.
func (c *Catalog) LastRecords(ctx context.Context, pattern string, most int) ([]Record, error) {
	rows, err := c.pool.Query(ctx, "select record from howdah.audit where $1 = '' or record ->> 'name' like $1 order by seq desc limit $2", pattern, most)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[Record])
}

// AuditLine is a line of the audit log as it is exported: as JSON, with its hash.
type AuditLine struct {
	Seq      int64
	Text     []byte // JSON of a Record, byte by byte what is hashed
	Previous []byte // hash of the line before, as this one has it
	Hash     []byte
	Broken   bool // it is not what was written, or does not follow the line before
}

// AuditLog yields the lines behind after, in order. Whoever changes, removes or inserts
// a line breaks the chain there, unless all lines from there on are made anew: so keep
// the last hash elsewhere too.
func (c *Catalog) AuditLog(ctx context.Context, after int64) iter.Seq2[AuditLine, error] {
	return func(yield func(AuditLine, error) bool) {
		previous := []byte{}
		if after > 0 {
			if err := c.pool.QueryRow(ctx, "select hash from howdah.audit where seq = $1", after).Scan(&previous); err != nil {
				yield(AuditLine{}, fmt.Errorf("audit log, line %d: %w", after, found(err)))
				return
			}
		}
		rows, err := c.pool.Query(ctx, "select seq, record::text, previous, hash from howdah.audit where seq > $1 order by seq", after)
		if err != nil {
			yield(AuditLine{}, err)
			return
		}
		defer rows.Close()
		for next := after + 1; rows.Next(); next++ {
			var l AuditLine
			if err := rows.Scan(&l.Seq, &l.Text, &l.Previous, &l.Hash); err != nil {
				yield(AuditLine{}, err)
				return
			}
			l.Broken = l.Seq != next || !l.follows(previous)
			previous, next = l.Hash, l.Seq
			if !yield(l, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(AuditLine{}, fmt.Errorf("read audit log: %w", err))
		}
	}
}
