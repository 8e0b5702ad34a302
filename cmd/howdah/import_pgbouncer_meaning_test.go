package main

import (
	"fmt"
	"strings"
	"testing"

	"howdah/wire"
	"howdah/wire/wiretest"
)

// importText translates a text and reads what is printed.
func importText(t *testing.T, text string) (*Config, string) {
	t.Helper()
	path := writeFile(t, "p.ini", text)
	_, printed, stderr := runCommand(t, "import-pgbouncer", path)
	c, err := parseConfig("printed", ".", printed)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stderr, printed)
	}
	return c, printed
}

func TestImportTakesCertificates(t *testing.T) {
	cert := wiretest.MakeCertificate(t, t.TempDir(), "localhost")
	files := fmt.Sprintf("client_tls_cert_file = %[1]s\nclient_tls_key_file = %[2]s\nclient_tls_ca_file = %[1]s\n", cert.CertFile, cert.KeyFile)
	for _, test := range []struct {
		settings         string
		mode, auth, said string
		authorities      bool
	}{
		{"auth_type = cert\nclient_tls_sslmode = verify-full\n", "require", "cert", "refuses clients without one only by", true},
		{"client_tls_sslmode = Verify-CA\n", "require", "md5", "refuses clients without one only by", true},
		{"client_tls_sslmode = require\n", "require", "md5", "client_tls_ca_file", false},
		{"client_tls_sslmode = allow\n", "allow", "md5", "client_tls_ca_file", false},
		{"", "disable", "md5", "only with another client_tls_sslmode than disable", false},
	} {
		c, printed := importText(t, bouncerHead+test.settings+files)
		if l := c.Listen; l.TLSMode != test.mode || l.AuthType != test.auth || (l.TLSCAFile != "") != test.authorities || (l.TLSCertFile != "") != (test.mode != "disable") {
			t.Errorf("%s\n%+v\n%s", test.settings, l, printed)
		}
		if !strings.Contains(strings.ReplaceAll(printed, "\n# ", " "), test.said) {
			t.Errorf("%s: no %q in\n%s", test.settings, test.said, printed)
		}
	}
	c, _ := importText(t, bouncerHead+"server_tls_sslmode = verify-full\nserver_tls_ca_file = "+cert.CertFile+"\n")
	if k := c.Clusters[0]; k.TLSMode != "verify-full" || k.TLSCAFile != cert.CertFile {
		t.Errorf("cluster %+v", k)
	}
}

func TestImportTrustsOnlyWhereNobodyElseCanReach(t *testing.T) {
	for settings, want := range map[string]string{
		"auth_type = trust\n":                              "trust",
		"auth_type = Trust\nlisten_addr = 127.0.0.1,::1\n": "trust",
		"auth_type = trust\nlisten_addr = *\n":             "scram-sha-256",
		"auth_type = any\nlisten_addr = 192.0.2.1\n":       "scram-sha-256",
		"auth_type = plain\n":                              "scram-sha-256",
		"auth_type = pam\n":                                "scram-sha-256",
		"auth_type = ldap\n":                               "scram-sha-256",
		"auth_type = hba\n":                                "scram-sha-256",
		"auth_type = scram-sha-256\n":                      "scram-sha-256",
		"":                                                 "md5",
	} {
		if c, printed := importText(t, bouncerHead+settings); c.Listen.AuthType != want {
			t.Errorf("%s: %s, want %s\n%s", settings, c.Listen.AuthType, want, printed)
		}
	}
}

// Lines of the rules that Howdah does not honour are named, without what may be
// a password, and it does not start with them.
func TestImportNamesRulesThatDiffer(t *testing.T) {
	rules := writeFile(t, "rules", "local all all peer map=staff\nhost all all 10.0.0.0/8 ldap ldapbindpasswd=hunter1\n"+
		"host all all samenet md5\nhost all all all md5 ldapbindpasswd=hunter2\n")
	maps := writeFile(t, "maps", "people root\n")
	settings := "auth_type = hba\nauth_hba_file = " + rules + "\nauth_ident_file = " + maps + "\n"
	code, printed, stderr := runCommand(t, "import-pgbouncer", writeFile(t, "p.ini", bouncerHead+settings))
	flat := strings.ReplaceAll(printed, "\n# ", " ")
	for _, part := range []string{
		"\nhba_file = \"" + rules, "\nhba_ident_file = \"" + maps,
		"maps:1: a line of a map has three words",
		"rules:2: method ldap is not supported; write scram-sha-256, cert or peer",
		"rules:3: samenet is not supported", `rules:4: unknown option "ldapbindpasswd="`,
	} {
		if !strings.Contains(printed, part) && !strings.Contains(flat, part) {
			t.Errorf("%q is not printed", part)
		}
	}
	if code != 3 || !strings.Contains(stderr, ":2: method ldap") || strings.Contains(printed+stderr, "hunter") || t.Failed() {
		t.Errorf("exit code %d\n%s\n%s", code, stderr, printed)
	}
}

// The verifier of a password in plain text is this password's, each time with
// another salt.
func TestImportHashesPasswords(t *testing.T) {
	text := "[databases]\na = host=h user=owner password='hunter 2'\n[pgbouncer]\nscram_iterations = 5000\nauth_type = scram-sha-256\n"
	first, _ := importText(t, text)
	second, _ := importText(t, text)
	v, err := wire.ParseVerifier(first.Users[0].Verifier)
	if err != nil || !v.Matches("hunter 2") || v.Iterations != 5000 || first.Users[0].Name != "owner" || first.Tenants[0].User != "owner" {
		t.Errorf("%+v, %v", first.Users, err)
	}
	if first.Users[0].Verifier == second.Users[0].Verifier {
		t.Error("two verifiers have one salt")
	}
}

func TestImportFindsWhoOwnsADatabase(t *testing.T) {
	users := writeFile(t, "users", `"root" "x"`+"\n"+`"stats" "x"`+"\n"+`"nobody" ""`+"\n"+`"plain" "x"`+"\n"+`"acme" "x"`+"\n"+`"shop" "x"`)
	text := "[pgbouncer]\nauth_file = " + users + "\nadmin_users = root\nstats_users = stats , root\n[databases]\n"
	for line, want := range map[string]string{
		"acme = host=h dbname=shop":                     "acme",
		"acme = host=h user=shop":                       "shop",
		"acme = host=h user=stranger":                   "acme",
		"a = host=h dbname=shop":                        "shop",
		"a = host=h dbname=nobody":                      "plain", // neither who cannot log in nor who has the console
		"a = host=h user=forced password='f' dbname=ac": "forced",
	} {
		if c, printed := importText(t, text+line+"\n"); c.Tenants[0].User != want {
			t.Errorf("%s: %s, want %s\n%s", line, c.Tenants[0].User, want, printed)
		}
	}
	c, printed := importText(t, bouncerHead+"auth_user = x\n[databases]\nb = host=h\n")
	if len(c.Users) != 0 || c.Tenants[1].User != "b" || c.Clusters[0].AuthUser != "x" {
		t.Errorf("%+v\n%s", c.Users, printed)
	}
	for _, settings := range []string{"", "auth_type = trust\n"} {
		c, printed := importText(t, bouncerHead+settings+"[databases]\nb = host=h\n")
		if len(c.Users) != 1 || c.Users[0].Name != "acme" || c.Tenants[1].User != "acme" || !strings.Contains(printed, "made up") {
			t.Errorf("%+v\n%s", c.Users, printed)
		}
	}
}

// A tenant's user would be led to the postgres of the tenant's cluster.
func TestImportKeepsPostgresWhereItWas(t *testing.T) {
	for databases, want := range map[string]string{
		"* = host=a\nacme = host=b\n":                    "a:5432",
		"acme = host=b\n* = host=a\npostgres = host=c\n": "c:5432",
		"* = host=a\nacme = host=a\n":                    "",
	} {
		c, printed := importText(t, "[databases]\n"+databases+"[pgbouncer]\nauth_type = trust\n")
		s, err := c.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for x := range s.Tenants() {
			if cluster, _ := s.Cluster(x.Cluster); x.Name == "postgres" {
				got = cluster.Members[0].Address
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q\n%s", databases, got, want, printed)
		}
	}
}

func TestImportLooksUsersUp(t *testing.T) {
	for text, want := range map[string]string{
		"auth_user = a\n[databases]\nx = host=h\n":                                                                        "a in postgres by default",
		"auth_user = a\nauth_dbname = users\n[databases]\nx = host=h auth_user=a\n":                                       "a in users by default",
		"[databases]\nx = host=h\ny = host=h auth_user=b\n":                                                               "b in postgres by default",
		"auth_query = SELECT * FROM look($1)\nauth_user = a\n[databases]\nx = host=h\n":                                   "a in postgres by SELECT * FROM look($1); what the query calls must be there",
		"auth_user = a\n[databases]\nx = host=h auth_user=b auth_query='select 1, $1'\n":                                  "a in postgres by select 1, $1; x is its a: one auth_user",
		"auth_query = SELECT * FROM look($1)\n[databases]\nx = host=h\n":                                                  " in postgres by default; without an auth_user nobody is looked up",
		"auth_query = SELECT * FROM look($1)\n[databases]\nx = host=h\ny = host=other auth_user=a auth_dbname=postgres\n": " in postgres by default",
	} {
		c, printed := importText(t, "[pgbouncer]\nauth_type = scram-sha-256\n"+text)
		cluster := c.Clusters[0]
		query := "default"
		if cluster.AuthQuery != defaultAuthQuery {
			query = cluster.AuthQuery
		}
		want, note, _ := strings.Cut(want, "; ")
		if got := cluster.AuthUser + " in " + cluster.AuthDatabase + " by " + query; got != want {
			t.Errorf("%s: %s, want %s\n%s", text, got, want, printed)
		}
		plain := strings.Join(strings.Fields(strings.ReplaceAll(printed, "\n#", "")), " ")
		if strings.HasPrefix(note, "x is its a") {
			note = `auth_user=b: a cluster of Howdah has one auth_user, and this one's is "a"`
		}
		if !strings.Contains(plain, note) {
			t.Errorf("%s: no note %q in\n%s", text, note, printed)
		}
	}
}
