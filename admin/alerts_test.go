package admin_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"howdah/admin"
	"howdah/backup/store"
)

// findPromtool returns where testdata/getpromtool has found or put the program.
func findPromtool(t *testing.T) string {
	t.Helper()
	if program, err := exec.LookPath("promtool"); err == nil {
		return program
	}
	folders := []string{"/var/cache"}
	if own, err := os.UserCacheDir(); err == nil {
		folders = append(folders, own)
	}
	for _, folder := range folders {
		program := filepath.Join(folder, "howdah", "promtool")
		if _, err := os.Stat(program); err == nil {
			return program
		}
	}
	t.Fatal("promtool is not there; run: testdata/getpromtool")
	return ""
}

func TestAlertRules(t *testing.T) {
	t.Parallel()
	promtool := findPromtool(t)
	for _, args := range [][]string{{"check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
}

// TestAlertsAreOfWhatThereIs looks for each metric that the rules, and their examples, name
// among those that /metrics has.
func TestAlertsAreOfWhatThereIs(t *testing.T) {
	t.Parallel()
	p := busyPooler()
	r := admin.NewRegistry(p, "1.0")
	admin.RegisterTenants(r, p, func() int { return 1 })
	admin.RegisterStores(r, func() map[string]store.MeterStats { return nil })
	admin.RegisterBackups(r, func() []admin.ClusterBackups { return nil })
	admin.RegisterTenantBackups(r, func() []admin.TenantBackups { return nil }, func() int { return 1 })
	described := make(chan *prometheus.Desc)
	go func() { r.Describe(described); close(described) }()
	there := map[string]bool{}
	name := regexp.MustCompile(`fqName: "([^"]*)"`)
	for d := range described {
		there[name.FindStringSubmatch(d.String())[1]] = true
	}
	named := map[string][]string{}
	alert := regexp.MustCompile(`(?m)alert(?:name)?: (\w+)`)
	for _, file := range []string{"alerts.yml", "alerts_test.yml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		used := regexp.MustCompile(`howdah_[a-z_]+`).FindAllString(string(text), -1)
		if len(used) < 15 {
			t.Errorf("%s names only %d metrics", file, len(used))
		}
		for _, metric := range used {
			if !there[metric] {
				t.Errorf("%s names %s, which /metrics does not have", file, metric)
			}
		}
		for _, m := range alert.FindAllStringSubmatch(string(text), -1) {
			named[m[1]] = append(named[m[1]], file)
		}
	}
	for alert, files := range named { // one example in which it is quiet, and one in which it is not
		if len(files) < 3 || files[0] != "alerts.yml" {
			t.Errorf("alert %s is in %v: it wants a rule and two examples", alert, files)
		}
	}
}
