package wire_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"howdah/wire"
	"howdah/wire/wiretest"
)

func TestAskPostgres(t *testing.T) {
	s := wiretest.StartPostgres(t)
	wiretest.CreateTenant(t, s, "anna", "se cret")
	ctx, cancel := context.WithTimeout(context.Background(), wiretest.Patience)
	defer cancel()
	e, err := wire.Dial(ctx, wire.DialConfig{
		Address: s.Address(), Secret: wire.Secret{Password: "se cret"},
		Parameters: []wire.Parameter{{Name: "user", Value: "anna"}, {Name: "database", Value: "anna"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Conn.Close()
	for _, c := range []struct {
		text, want, code string
		params           []string
	}{
		{text: "select $1::text, null, 1", params: []string{"it's"}, want: "it's|NULL|1"},
		{text: "select 1 where false", want: ""},
		{text: "select", want: ""},
		{text: "select i, $1::text from generate_series(1, 3) i", params: []string{""}, want: "1|;2|;3|"},
		{text: "select repeat('x', 60000)", want: strings.Repeat("x", 60000)},
		{text: "select nothing", code: "42703"},
		{text: "select 1/(i-2) from generate_series(1, 3) i", code: "22012"},
		{text: "selec", code: "42601"},
		{text: "select 'still there'", want: "still there"},
	} {
		rows, err := e.Ask(ctx, c.text, c.params...)
		var refusal *wire.Error
		if c.code != "" {
			if !errors.As(err, &refusal) || refusal.Code != c.code {
				t.Errorf("%s: %v, want %s", c.text, err, c.code)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		var lines []string
		for _, row := range rows {
			var words []string
			for _, v := range row {
				if v == nil {
					words = append(words, "NULL")
				} else {
					words = append(words, *v)
				}
			}
			lines = append(lines, strings.Join(words, "|"))
		}
		if got := strings.Join(lines, ";"); got != c.want {
			t.Errorf("%s: %.100q, want %.100q", c.text, got, c.want)
		}
	}
	if _, err := e.Ask(ctx, "select generate_series(1, 17)"); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("17 rows: %v", err)
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	s := wiretest.StartPostgres(t)
	wiretest.CreateTenant(t, s, "anna", "se cret")
	e, err := wire.Dial(context.Background(), wire.DialConfig{
		Address: s.Address(), Secret: wire.Secret{Password: "se cret"},
		Parameters: []wire.Parameter{{Name: "user", Value: "anna"}, {Name: "database", Value: "anna"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := e.Ask(ctx, "select pg_sleep(60)"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ask: %v", err)
	}
}
