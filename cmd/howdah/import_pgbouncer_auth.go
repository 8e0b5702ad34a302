package main

import (
	"errors"
	"fmt"
	"strings"

	"howdah/router/hba"
)

// translateAuth decides auth_type, and adds the users of auth_file.
func (t *bouncerTranslation) translateAuth() {
	word, from, _ := t.given("auth_type", "md5")
	word = strings.ToLower(word)
	auth := t.byPassword()
	switch word {
	case "md5", "scram-sha-256":
		auth = word
	case "trust", "any":
		if t.loopbackOnly() {
			auth = "trust"
		} else {
			t.listen.note("%s = %s: Howdah trusts clients only where nobody but this machine reaches its addresses. Users need a verifier.", from, word)
		}
		if word == "any" {
			t.listen.note("%s = any: in Howdah a client is the user that it names, for PostgreSQL too, and only admin users may change things in the console.", from)
		}
	case "cert":
		if t.listen.value("tls_mode") == "require" && t.listen.value("tls_ca_file") != nil {
			auth = "cert"
		} else {
			t.badValue(t.settings["auth_type"], errors.New("it needs client_tls_sslmode = verify-full and client_tls_ca_file"))
		}
	case "plain":
		t.listen.note("%s = plain: Howdah asks for no password in plain text.", from)
	case "ldap", "pam":
		t.listen.note("%s = %s: Howdah asks neither LDAP nor PAM. Users need a verifier and a password in PostgreSQL.", from, word)
	case "hba":
		t.translateHBA()
	default:
		t.badValue(t.settings["auth_type"], fmt.Errorf("it is none of %s", oneOf([]string{"md5", "scram-sha-256", "plain", "trust", "any", "cert", "hba", "ldap", "pam"})))
	}
	t.listen.add("auth_type", auth, from+" = "+word)
	t.unusedHBA(word)
	if e, ok := t.settings["scram_iterations"]; ok {
		n, err := parseBouncerNumber(e.value)
		if err != nil {
			t.badValue(e, err)
		}
		t.without(e, fmt.Sprintf("Howdah hashes no passwords but those in plain text above, in at least 1 and at most 1000000 rounds, for which it was heeded (%d)", n), false)
	}
	for _, u := range t.listed {
		t.addUser(u.from, u.name, u.secret)
	}
}

// byPassword is the auth_type under which all users of the list can log in.
func (t *bouncerTranslation) byPassword() string {
	for _, u := range t.listed {
		if strings.HasPrefix(u.secret, "md5") && isVerifier(u.secret) {
			return "md5"
		}
	}
	return "scram-sha-256"
}

// translateHBA has Howdah read the files of rules and maps as they are, and
// names the lines that it refuses: with such it does not start, so that nothing
// is allowed that a rule forbade.
func (t *bouncerTranslation) translateHBA() {
	open := func(path string) (string, error) {
		_, text, err := t.find(path)
		return string(text), unwrapPath(err)
	}
	var maps *hba.Maps
	mapsRead := true
	t.addRules("auth_ident_file", "hba_ident_file", func(path, text string) (mistakes []hba.Mistake) {
		maps, mistakes = hba.ParseMaps(path, text)
		mapsRead = maps != nil
		return mistakes
	})
	t.addRules("auth_hba_file", "hba_file", func(path, text string) []hba.Mistake {
		rules, mistakes := hba.Parse(path, text, open)
		if rules != nil && mapsRead {
			mistakes = rules.CheckMaps(maps)
		}
		return mistakes
	})
}

// addRules adds a file that Howdah reads too, as name, and lists what parse
// finds in it.
func (t *bouncerTranslation) addRules(given, name string, parse func(path, text string) []hba.Mistake) {
	e, ok := t.settings[given]
	if !ok || e.value == "" {
		return
	}
	found, text, err := t.find(e.value)
	if err != nil {
		t.wrong(e.file, e.line, "name a file that can be read, or run as somebody who may", "%s %q: %v", given, e.value, unwrapPath(err))
		return
	}
	t.listen.add(name, absolute(found), e.at()+": "+given)
	mistakes := parse(found, string(text))
	if len(mistakes) == 0 {
		return
	}
	t.listen.note("%s: %s = %s: Howdah reads this file too, but for the lines below. It does not start before they are changed; PgBouncer may need the file as it is, so change a copy:", e.at(), given, e.value)
	for _, m := range mistakes {
		t.listen.note("%s: %s; %s", iniEntry{file: m.File, line: m.Line}.at(), m.Problem, m.Remedy)
	}
}

// unusedHBA names files that PgBouncer does not read under this auth_type.
func (t *bouncerTranslation) unusedHBA(word string) {
	for _, name := range []string{"auth_hba_file", "auth_ident_file"} {
		if e, ok := t.settings[name]; ok && (word != "hba" || e.value == "") {
			t.without(e, "PgBouncer reads it only with auth_type = hba", false)
		}
	}
}

// translatePeers lists [peers].
func (t *bouncerTranslation) translatePeers() {
	known := []bouncerSetting{{name: "host"}, {name: "port", kind: kindCount}, {name: "pool_size", kind: kindCount}}
	for _, e := range t.peers {
		if n, err := parseBouncerNumber(e.key); err != nil || n < 1 {
			t.wrong(e.file, e.line, "write its peer_id", "peer %q is no number above 0", e.key)
		}
		pairs, err := t.pairs(e)
		if err != nil {
			continue
		}
		host := false
		for _, p := range pairs {
			host = host || p.key == "host"
			if s := bouncerSettingOf(known, p.key); s == nil {
				t.unknownPair(e, p, known)
			} else if _, err := parseBouncerValue(s.kind, p.value); err != nil {
				t.wrong(e.file, e.line, "mend it", "%s=%s of peer %q: %v", p.key, p.value, e.key, err)
			}
		}
		if !host {
			t.wrong(e.file, e.line, "write host=…", "peer %q has no host", e.key)
		}
		t.rest.add(fmt.Sprintf("%s: peer %s = %q", e.at(), e.key, e.value), noPeers)
	}
}
