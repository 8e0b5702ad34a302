package main

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"howdah/router/hba"
	"howdah/tenants"
	"howdah/wire"
)

// checkRules reads the rules of hba_file and notes what they do not go with.
func (r *configReader) checkRules() {
	c, l := r.config, &r.config.Listen
	at := func(name string) []string { return []string{string(sectionListen), name} }
	if l.HBAIdentFile != "" && !r.isWrong(at("hba_ident_file")) {
		maps, mistakes := hba.ReadMaps(l.HBAIdentFile)
		r.adopt(mistakes)
		c.Maps = maps
	}
	switch {
	case l.HBAFile == "" && l.HBAIdentFile != "":
		r.note(at("hba_ident_file"), "write hba_file too, or remove it", "hba_ident_file does nothing without the rules of an hba_file")
		return
	case l.HBAFile == "", r.isWrong(at("hba_file")):
		return
	}
	rules, mistakes := hba.Read(l.HBAFile)
	if r.adopt(mistakes); rules == nil {
		return
	}
	if l.HBAIdentFile == "" || c.Maps != nil {
		r.adopt(rules.CheckMaps(c.Maps))
	}
	c.HBA = rules
	for _, rule := range rules.All() {
		r.checkRule(rule)
	}
}

// adopt takes over the mistakes of a file that the configuration names.
func (r *configReader) adopt(mistakes []hba.Mistake) {
	for _, m := range mistakes {
		r.mistakes = append(r.mistakes, Mistake{m.File, m.Line, m.Problem, m.Remedy})
	}
}

// checkRule notes what a rule needs of the rest of the configuration.
func (r *configReader) checkRule(rule *hba.Rule) {
	l := &r.config.Listen
	wrong := func(remedy, problem string) {
		r.mistakes = append(r.mistakes, Mistake{rule.File, rule.Line, problem, remedy})
	}
	note := func(remedy, problem string) {
		r.config.Notes = append(r.config.Notes, Mistake{rule.File, rule.Line, problem, remedy})
	}
	if rule.NeedsTLS() && l.TLSMode == "disable" {
		note(`write tls_mode = "allow" in [listen]`, "hostssl fits no client while TLS is off")
	}
	if l.TLSCAFile == "" && (rule.Method == hba.Cert || rule.ClientCert != hba.NoCert) {
		wrong("write tls_ca_file in [listen]", "the authorities of client certificates are not given")
	}
	switch rule.Method {
	case hba.Trust:
		switch {
		case rule.OverTCP() && len(l.ProxyFrom) > 0:
			wrong("write another method, or remove proxy_protocol_from", "trust by TCP does not go with proxies that are believed")
		case rule.OverTCP():
			note("write scram-sha-256", "trust believes whoever reaches Howdah from there")
		}
		r.noteSecrets(nil, rule.File, rule.Line, "trust")
	case hba.Cert, hba.Peer:
		r.noteSecrets(nil, rule.File, rule.Line, rule.Method.String())
	}
}

// noteSecrets says which users have nothing to log in to servers with after a
// login by method, at a key or at the line of another file.
func (r *configReader) noteSecrets(at []string, file string, line int, method string) {
	var without []string
	for i := range r.config.Users {
		if u := &r.config.Users[i]; u.ServerSecretFile == "" && len(u.ServerKeys) == 0 {
			without = append(without, r.config.Users[i].Name)
		}
	}
	if file == "" {
		line = r.lines.line(at...)
	}
	note := func(whom, remedy string) {
		r.config.Notes = append(r.config.Notes, Mistake{
			file, line, fmt.Sprintf("a login by %s gives Howdah nothing to log in to servers with as %s", method, whom), remedy,
		})
	}
	c := &r.config.Catalog
	if c.URL != "" && c.MasterKeyFile == "" {
		note("users that are made in the catalog", "write master_key_file under [catalog], with which they are managed")
	}
	if len(without) == 0 && (len(r.config.Users) > 0 || c.URL != "") {
		return
	}
	const few = 5
	whom := "users"
	if len(without) > 0 {
		whom = oneOf(without[:min(few, len(without))])
	}
	if len(without) > few {
		whom += fmt.Sprintf(" and %d more", len(without)-few)
	}
	note(whom, "write server_secret_file under [[user]], or let the servers trust Howdah in pg_hba.conf")
}

// maxSecretFile is far above what a password takes, in bytes.
const maxSecretFile = 4096

// readServerSecret reads the first line of a user's server_secret_file.
func (r *configReader) readServerSecret(b block, u *tenants.User) {
	const name = "server_secret_file"
	if u.ServerSecretFile == "" || r.isWrong(b.key(name)) {
		return
	}
	info, err := os.Stat(u.ServerSecretFile)
	if err == nil && info.Mode().Perm()&(fs.ModePerm&^0o700) != 0 {
		r.wrong(b.key(name), "chmod 600 it", "others than its owner may use %s %q", name, u.ServerSecretFile)
		return
	}
	if err == nil && info.Size() > maxSecretFile {
		r.wrong(b.key(name), "write the path of a file with a password", "%s %q is longer than %d bytes", name, u.ServerSecretFile, maxSecretFile)
		return
	}
	text, err := os.ReadFile(u.ServerSecretFile)
	if err != nil {
		r.wrong(b.key(name), "write the path of a file that can be read", "%s %q: %v", name, u.ServerSecretFile, unwrapPath(err))
		return
	}
	secret, _, _ := strings.Cut(string(text), "\n")
	switch secret = strings.TrimSuffix(secret, "\r"); {
	case secret == "":
		r.wrong(b.key(name), "write the password on its first line", "%s %q is empty", name, u.ServerSecretFile)
	case strings.HasPrefix(secret, wire.MechanismScram+"$"):
		r.wrong(b.key(name), "write the password", "%s %q holds a verifier, which checks logins and cannot make any", name, u.ServerSecretFile)
	default:
		u.ServerSecret = secret
	}
}

// looksUp reports whether a cluster can be asked for the secrets of users.
func (r *configReader) looksUp() bool {
	return slices.ContainsFunc(r.config.Clusters, func(c tenants.Cluster) bool { return c.AuthUser != "" })
}

// checkLookup notes what is wrong with a cluster's auth_query.
func (r *configReader) checkLookup(c *tenants.Cluster, b block) {
	if c.AuthUser == "" {
		for _, name := range []string{"auth_query", "auth_dbname"} {
			if b.has(name) {
				r.note(b.key(name), "write auth_user too, or remove it", "%s of cluster %q does nothing without an auth_user", name, c.Name)
			}
		}
		return
	}
	if !strings.Contains(c.AuthQuery, "$1") {
		r.wrong(b.key("auth_query"), "write $1 where the user's name belongs", "auth_query of cluster %q does not ask for the user", c.Name)
	}
	if c.AuthDatabase == "" {
		r.wrong(b.key("auth_dbname"), `write "postgres"`, "auth_dbname of cluster %q is empty", c.Name)
	}
	i := slices.IndexFunc(r.config.Users, func(u tenants.User) bool { return u.Name == c.AuthUser })
	if i < 0 || r.config.Users[i].ServerSecretFile == "" {
		r.note(b.key("auth_user"), fmt.Sprintf("write [[user]] with name = %q and server_secret_file, or let the cluster trust Howdah", c.AuthUser),
			"Howdah has no secret to log in as auth_user %q of cluster %q", c.AuthUser, c.Name)
	}
}
