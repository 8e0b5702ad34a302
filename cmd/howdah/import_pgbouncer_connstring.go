package main

import (
	"errors"
	"fmt"
	"strings"
)

// connPair is one key=value of a database's, user's or peer's line.
type connPair struct{ key, value string }

// parseConnString splits what stands behind a name in [databases], [users] and
// [peers] as PgBouncer does: pairs are separated by blanks alone, a value in
// single quotes may hold them, and two quotes inside stand for one.
func parseConnString(text string) ([]connPair, error) {
	var pairs []connPair
	for {
		text = strings.TrimLeft(text, " ")
		if text == "" {
			return pairs, nil
		}
		key, rest, ok := strings.Cut(text, "=")
		key = strings.TrimRight(key, " ")
		if !ok || key == "" || strings.Contains(key, " ") {
			where := "at its beginning" // not repeated: it may be half of a password
			if len(pairs) > 0 {
				where = fmt.Sprintf("behind %q", pairs[len(pairs)-1].key)
			}
			return nil, fmt.Errorf("what stands %s is no key=value", where)
		}
		rest = strings.TrimLeft(rest, " ")
		var value string
		if strings.HasPrefix(rest, "'") {
			if value, rest, ok = cutQuoted(rest, '\''); !ok {
				return nil, fmt.Errorf("the value of %q has no closing quote", key)
			}
			if rest != "" && rest[0] != ' ' {
				return nil, fmt.Errorf("there is no blank behind the quoted value of %q", key)
			}
		} else {
			value, rest, _ = strings.Cut(rest, " ")
		}
		if value == "" {
			return nil, fmt.Errorf("%q has no value", key)
		}
		pairs, text = append(pairs, connPair{key, value}), rest
	}
}

// errNoBlankList is for lists that hold nothing between two commas.
var errNoBlankList = errors.New("there is nothing between two commas")

// splitList splits at commas, as listen_addr, host and the lists of users.
func splitList(text string) ([]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		if parts[i] = strings.TrimSpace(parts[i]); parts[i] == "" {
			return nil, errNoBlankList
		}
	}
	return parts, nil
}
