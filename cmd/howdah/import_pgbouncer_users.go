package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"howdah/wire"
)

// listedUser is one line of an auth_file.
type listedUser struct {
	from         iniEntry // its place
	name, secret string
}

// readUserlist reads the auth_file. Of two lines for one user PgBouncer goes by
// the second.
func (t *bouncerTranslation) readUserlist() {
	e, ok := t.settings["auth_file"]
	if !ok || e.value == "" {
		return
	}
	found, text, err := t.find(e.value)
	if err != nil {
		t.wrong(e.file, e.line, "name a file that can be read, or run as somebody who may", "auth_file %q: %v", e.value, unwrapPath(err))
		return
	}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == ';' {
			continue
		}
		u := listedUser{from: iniEntry{file: found, line: i + 1}}
		if u.name, u.secret, ok = cutUser(line); !ok || strings.ToValidUTF8(u.name+u.secret, "\x00") != u.name+u.secret {
			t.wrong(found, i+1, `write "user" "verifier", in UTF-8; comments begin with ;`, "the line is no user's") // never repeated: it may hold a password
			continue
		}
		if at := slices.IndexFunc(t.listed, func(v listedUser) bool { return v.name == u.name }); at >= 0 {
			t.remark(t.listed[at].from, "user %q is given again at %s; PgBouncer goes by that line, and so does this file", u.name, u.from.at())
			t.listed[at] = u
			continue
		}
		t.listed = append(t.listed, u)
	}
}

// cutUser splits "user" "secret", whatever comes behind them.
func cutUser(line string) (name, secret string, ok bool) {
	if !strings.HasPrefix(line, `"`) {
		return "", "", false
	}
	if name, line, ok = cutQuoted(line, '"'); !ok || name == "" {
		return "", "", false
	}
	if line = strings.TrimLeft(line, " \t"); !strings.HasPrefix(line, `"`) {
		return "", "", false
	}
	secret, _, ok = cutQuoted(line, '"')
	return name, secret, ok
}

// addUser adds a [[user]] with what PgBouncer has as its secret.
func (t *bouncerTranslation) addUser(from iniEntry, name, secret string) {
	u := tomlTable{in: sectionUser}
	u.add("name", name, from.at())
	auth, _ := t.listen.value("auth_type").(string)
	byPassword := auth != "trust" && auth != "cert"
	switch {
	case strings.HasPrefix(secret, "SCRAM-SHA-256$") && !isVerifier(secret):
		t.wrong(from.file, from.line, "copy it again: SELECT rolpassword FROM pg_authid", "the SCRAM verifier of user %q is broken", name)
	case secret == "" && byPassword:
		u.note("%s: user %q has no password, so no one can log in as it in PgBouncer either. With a verifier from PostgreSQL it would be:", from.at(), name)
		u.add("verifier", "", "")
		u.leftOut = true
	case secret == "": // of no use
	case strings.HasPrefix(secret, "md5") && isVerifier(secret):
		if auth == "scram-sha-256" {
			u.note("%s: user %q has an md5 verifier and auth_type wants SCRAM, so no one can log in as it in PgBouncer either. Set the role's password again in PostgreSQL and copy its verifier.", from.at(), name)
			u.leftOut = true
		}
		u.add("verifier", secret, "")
	case isVerifier(secret):
		u.add("verifier", secret, "")
	default:
		u.add("verifier", t.newVerifier(secret), "made from a password in plain text, see above")
		if t.plainText++; t.plainText == 1 {
			u.note("Passwords that stand in plain text in PgBouncer's files are not printed: verifiers made from them are. " +
				"With such a verifier users log in to Howdah by the same password, but Howdah logs in to PostgreSQL by the proof that the client gave, which works only where PostgreSQL has the very same verifier. " +
				"So either give it to PostgreSQL, ALTER ROLE … PASSWORD 'SCRAM-SHA-256$…' with the text below, which leaves the password as it is, " +
				"or copy PostgreSQL's own to this file: SELECT rolpassword FROM pg_authid WHERE rolname = …")
		}
	}
	if len(name) > maxName || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		u.note("%s: user %q has a name that PostgreSQL or Howdah cannot have: over %d bytes, or with control characters.", from.at(), name, maxName)
		u.leftOut = true
	}
	t.users = append(t.users, u)
}

// newVerifier hashes a password with as many rounds as PgBouncer would.
func (t *bouncerTranslation) newVerifier(password string) string {
	rounds := int64(wire.DefaultScramIterations)
	if e, ok := t.settings["scram_iterations"]; ok {
		if n, err := parseBouncerNumber(e.value); err == nil {
			rounds = min(max(n, 1), wire.MaxScramIterations)
		}
	}
	var salt []byte
	if t.salt != nil {
		salt = t.salt()
	}
	return wire.MakeVerifier(password, int(rounds), salt).String()
}

// user returns the [[user]] of that name that can log in; nil if none can.
func (t *bouncerTranslation) user(name string) *tomlTable {
	for i := range t.users {
		if !t.users[i].leftOut && t.users[i].value("name") == name {
			return &t.users[i]
		}
	}
	return nil
}

// bouncerUserSettings are what a line of [users] may have.
func bouncerUserSettings() []bouncerSetting {
	const why = "a [[user]] has no such setting; set it for the tenants that the user works in"
	return []bouncerSetting{
		{name: "pool_mode", kind: kindWord, in: sectionUser, as: "pool_mode", why: why},
		{name: "pool_size", kind: kindCount, in: sectionUser, as: "pool_size", why: why},
		{name: "reserve_pool_size", kind: kindCount, in: sectionUser, as: "reserve_pool_size", why: why},
		{name: "max_user_connections", kind: kindCount, in: sectionUser, as: "max_user_connections"},
		{name: "max_user_client_connections", kind: kindCount, in: sectionUser, as: "max_user_client_connections"},
		{name: "query_timeout", kind: kindSeconds, in: sectionUser, as: "query_timeout"},
		{name: "query_wait_timeout", kind: kindSeconds, in: sectionUser, as: "query_wait_timeout"},
		{name: "idle_transaction_timeout", kind: kindSeconds, in: sectionUser, as: "idle_transaction_timeout"},
		{name: "transaction_timeout", kind: kindSeconds, in: sectionUser, as: "transaction_timeout"},
		{name: "client_idle_timeout", kind: kindSeconds, in: sectionUser, as: "client_idle_timeout"},
	}
}

// translateUsers does [users], whose entries go into the [[user]] of that name.
func (t *bouncerTranslation) translateUsers() {
	table := bouncerUserSettings()
	for _, e := range t.bouncerFiles.users {
		pairs, err := t.pairs(e)
		if err != nil {
			continue
		}
		var without leftOver
		u := t.user(e.key)
		for _, p := range pairs {
			s := bouncerSettingOf(table, p.key)
			if s == nil {
				t.unknownPair(e, p, table)
				continue
			}
			to := u
			if to == nil {
				to = &tomlTable{}
			}
			why, ok := t.translatePair(e, p, s, to)
			if ok && u == nil {
				why, ok = "no [[user]] of that name is here, as no file has a verifier with which it could log in", false
			}
			if !ok {
				without.add(p.key+"="+p.value, why)
			}
		}
		for _, line := range without.lines() {
			t.others = append(t.others, fmt.Sprintf("%s: user %q: %s", e.at(), e.key, line))
		}
	}
}

// translatePair adds one key=value of [databases] or [users] to its table. If it
// cannot, why says so.
func (t *bouncerTranslation) translatePair(e iniEntry, p connPair, s *bouncerSetting, to *tomlTable) (why string, ok bool) {
	if n, err := strconv.ParseInt(p.value, 10, 32); err == nil && n < 0 && s.kind != kindWord && s.kind != kindText {
		return "a negative number is PgBouncer's word for not set", false
	}
	row := settingRow(s.in, s.as)
	if row == nil {
		if _, err := parseBouncerValue(s.kind, p.value); err != nil {
			t.wrong(e.file, e.line, "mend it", "%s=%s of %q: %v", p.key, p.value, e.key, err)
		}
		return s.why, false
	}
	got, err := translateValue(s, row, p.value)
	if err != nil {
		t.wrong(e.file, e.line, "mend it", "%s=%s of %q: %v", p.key, p.value, e.key, err)
		return "", true
	}
	from := e.at() + ": " + p.key
	if got.remark != "" {
		from += "=" + p.value + ": " + got.remark
	}
	to.add(s.as, got.value, from)
	return "", true
}

// pairs splits an entry's value and notes what is wrong with it.
func (t *bouncerTranslation) pairs(e iniEntry) ([]connPair, error) {
	pairs, err := parseConnString(e.value)
	if err != nil {
		t.wrong(e.file, e.line, "write key=value pairs with blanks between, values with blanks in single quotes", "%q: %v", e.key, err)
		return nil, err
	}
	var last []connPair
	for i, p := range pairs {
		if slices.ContainsFunc(pairs[i+1:], func(later connPair) bool { return later.key == p.key }) {
			t.remark(e, "%q gives %s again; PgBouncer goes by the last, and so does this file", e.key, p.key)
			continue
		}
		last = append(last, p)
	}
	return last, nil
}

func (t *bouncerTranslation) unknownPair(e iniEntry, p connPair, table []bouncerSetting) {
	var names []string
	for _, s := range table {
		names = append(names, s.name)
	}
	remedy := "remove it"
	if like := nearest(p.key, names); like != "" {
		remedy = fmt.Sprintf("write %q", like)
	}
	t.wrong(e.file, e.line, remedy, "PgBouncer knows no %q in the line of %q", p.key, e.key)
}

// translateConsole does the users of the console, who must be able to log in.
func (t *bouncerTranslation) translateConsole() {
	t.admin.add("http", settingRow(sectionAdmin, "http").initial, `Howdah's own; "" is none`)
	for _, list := range []struct{ name, as string }{{"admin_users", "users"}, {"stats_users", "stats_users"}} {
		e, ok := t.settings[list.name]
		if !ok {
			continue
		}
		names, err := splitList(e.value)
		if err != nil {
			t.badValue(e, err)
		}
		known, unknown := []string{}, []string{}
		for _, name := range names {
			if t.user(name) == nil {
				unknown = append(unknown, fmt.Sprintf("%q", name))
			} else if !slices.Contains(known, name) {
				known = append(known, name)
			}
		}
		if len(unknown) > 0 {
			t.admin.note("%s: %s names %s, no [[user]] below, as no file has a verifier with which to log in: write a [[user]] and add the name here.", e.at(), list.name, strings.Join(unknown, ", "))
		}
		t.admin.add(list.as, known, e.at()+": "+list.name)
	}
}
