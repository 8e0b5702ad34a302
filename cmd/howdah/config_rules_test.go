package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"howdah/router/hba"
)

// writeBeside writes a file into the folder of another, for its owner alone.
func writeBeside(t *testing.T, path, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// withRules loads a configuration that names rules and maps.
func withRules(t *testing.T, listen, rules, maps string) (*Config, error) {
	t.Helper()
	path := writeFile(t, "howdah.toml", "[listen]\nhba_file = \"rules\"\nhba_ident_file = \"maps\"\n"+listen+good)
	writeBeside(t, path, "rules", rules)
	writeBeside(t, path, "maps", maps)
	return LoadConfig(path)
}

func TestRulesAreReadBesideTheConfiguration(t *testing.T) {
	c, err := withRules(t, "", "local all all peer map=m\nhost all all 10.0.0.0/8 scram-sha-256\n", "m root acme\n")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(c.HBA.All()); n != 2 || c.HBA.All()[0].Method != hba.Peer || !c.Maps.Allows("m", "root", "acme") {
		t.Errorf("%d rules, maps %v", n, c.Maps)
	}
	if len(c.Notes) != 1 || c.Notes[0].Line != 1 || !strings.HasSuffix(c.Notes[0].File, "/rules") || !strings.Contains(c.Notes[0].Problem, `by peer gives Howdah nothing to log in to servers with as "acme"`) {
		t.Errorf("notes %v", c.Notes)
	}
	if c := mustLoad(t, good); c.HBA != nil {
		t.Error("rules without an hba_file")
	}
}

func TestMistakesOfRulesAreSaidWithTheirFile(t *testing.T) {
	for name, c := range map[string]struct {
		listen, rules, maps string
		want                []string // each "FILE:LINE: words"
	}{
		"syntax":         {"", "local all all peer\nhost all all nowhere md5\nhost x", "", []string{`rules:2: "nowhere" is no address`, "rules:3: too early"}},
		"maps":           {"", "local all all peer", "\nm root", []string{"maps:2: three words"}},
		"no such map":    {"", "local all all peer map=x", "m a b", []string{`rules:1: there is no map "x"`}},
		"no authorities": {"", "\nhostssl all all all cert", "", []string{"rules:2: the authorities of client certificates are not given; write tls_ca_file in [listen]"}},
		"clientcert":     {"", "hostssl all all all md5 clientcert=verify-ca", "", []string{"rules:1: the authorities of client certificates"}},
		"proxies":        {"proxy_protocol_from = [\"10.0.0.5\"]\n", "local all all trust\nhost all all 127.0.0.1/32 trust", "", []string{"rules:2: trust by TCP does not go with proxies"}},
		"beside others":  {"tls_mode = \"require\"\n", "x", "", []string{"howdah.toml:4: without a certificate", `rules:1: unknown connection type "x"`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := withRules(t, c.listen, c.rules, c.maps)
			var config *ConfigError
			if !errors.As(err, &config) {
				t.Fatalf("error %T: %v", err, err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(c.want) {
				t.Fatalf("mistakes:\n%v", err)
			}
			for i, want := range c.want {
				where, words, _ := strings.Cut(want, ": ")
				if !strings.Contains(lines[i], "/"+where+":") || !strings.Contains(lines[i], words) {
					t.Errorf("mistake %q, want %q", lines[i], want)
				}
			}
		})
	}
}

func TestServerSecretsAreReadFromTheirFiles(t *testing.T) {
	path := writeFile(t, "howdah.toml", good+"server_secret_file = \"secret\"\n")
	writeBeside(t, path, "secret", "hunter2 \r\nrest\n")
	c, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Users[0].ServerSecret; got != "hunter2 " {
		t.Errorf("secret %q", got)
	}
	secret := filepath.Join(filepath.Dir(path), "secret")
	for _, test := range []struct {
		text, want string
		mode       os.FileMode
	}{
		{"hunter2", "others than its owner may use server_secret_file", 0o640},
		{"hunter2", "others than its owner may use server_secret_file", 0o602},
		{"\nhunter2", "is empty; write the password on its first line", 0o600},
		{scramVerifier, "holds a verifier, which checks logins and cannot make any", 0o600},
		{strings.Repeat("hunter2", 1000), "is longer than", 0o600},
	} {
		writeBeside(t, path, "secret", test.text)
		if err := os.Chmod(secret, test.mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadConfig(path)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.20q with mode %o: %v", test.text, test.mode, err)
		}
	}
}

func TestAuthUserStandsForUsers(t *testing.T) {
	const cluster = "[[cluster]]\nname = \"main\"\nmembers = [\"127.0.0.1:5432\"]\n"
	const tenant = "[[tenant]]\nname = \"acme\"\n"
	c := mustLoad(t, cluster+"auth_user = \"asker\"\n"+tenant)
	if got := c.Clusters[0]; got.AuthQuery != defaultAuthQuery || got.AuthDatabase != "postgres" {
		t.Errorf("cluster %+v", got)
	}
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0].Problem, `no secret to log in as auth_user "asker"`) || c.Notes[0].Line != 4 {
		t.Errorf("notes %v", c.Notes)
	}
	mustLoad(t, cluster+"auth_user = \"asker\"\n"+tenant+"[[user]]\nname = \"acme\"\n") // no verifier is no mistake
	checkMistakes(t, cluster+"auth_user = \"a\"\nauth_query = \"select usename, passwd from pg_shadow\"\nauth_dbname = \"\"\n"+tenant,
		[]string{"5: does not ask for the user; write $1", "6: auth_dbname of cluster \"main\" is empty"})
	checkMistakes(t, cluster+tenant, []string{`4: user "acme" of tenant "acme" is no [[user]]`})
	if c := mustLoad(t, cluster+"auth_dbname = \"x\"\n"+tenant+"[[user]]\nname = \"acme\"\nverifier = \""+scramVerifier+"\"\n"); len(c.Notes) != 1 {
		t.Errorf("notes %v", c.Notes)
	}
}

func TestProxiesAreNetworks(t *testing.T) {
	c := mustLoad(t, "[listen]\nproxy_protocol_from = [\"10.0.0.5\", \"10.1.2.3/16\", \"fd00::/8\", \"::ffff:10.0.0.6\"]\n"+good)
	if got := fmt.Sprint(c.Listen.proxies()); got != "[10.0.0.5/32 10.1.0.0/16 fd00::/8 10.0.0.6/32]" {
		t.Errorf("proxies %s", got)
	}
	if c := mustLoad(t, "[listen]\nproxy_protocol_from = [\"0.0.0.0/0\"]\n"+good); len(c.Notes) != 1 || c.Notes[0].Line != 2 {
		t.Errorf("notes %v", c.Notes)
	}
	checkMistakes(t, "[listen]\nproxy_protocol_from = [\"10.0.0.0/33\", \"proxy\", \"10.0.0.1:5\"]\n"+good, []string{
		`2: "10.0.0.0/33" is no network`, `2: "proxy" is no network`, `2: "10.0.0.1:5" is no network`,
	})
	checkMistakes(t, "[listen]\nproxy_protocol_from = [\"10.0.0.5\"]\nauth_type = \"trust\"\n"+good, []string{`3: auth_type "trust" does not go with proxies`})
}

func TestReloadKeepsTheRulesWhenTheFileIsBad(t *testing.T) {
	path := writeFile(t, "howdah.toml", "[listen]\naddresses = [\"127.0.0.1:0\"]\nunix_socket_dir = \"\"\nhba_file = \"rules\"\n[admin]\nhttp = \"\"\n"+good)
	writeBeside(t, path, "rules", "host all all 127.0.0.1/32 scram-sha-256\n")
	d, err := newDaemon(path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer d.router.Close()
	before := d.current()
	writeBeside(t, path, "rules", "host all all 127.0.0.1/32 scram-sha-256\nhost all all all trsut\n")
	if err := d.reload(); err == nil || !strings.Contains(err.Error(), `/rules:2: unknown method "trsut"`) {
		t.Errorf("reload: %v", err)
	}
	if d.current() != before || len(before.HBA.All()) != 1 {
		t.Error("the configuration changed")
	}
	writeBeside(t, path, "rules", "host all all all reject\n")
	if err := d.reload(); err != nil {
		t.Fatal(err)
	}
	if rule := d.current().HBA.All()[0]; rule.Method != hba.Reject {
		t.Errorf("after a reload the rule is %v", rule.Method)
	}
}
