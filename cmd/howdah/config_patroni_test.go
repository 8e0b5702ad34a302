package main

import (
	"slices"
	"strings"
	"testing"
)

// patroniConfig has a cluster with settings from line 3 on.
func patroniConfig(settings string) string {
	return "[[cluster]]\nname = \"main\"\n" + settings + "\n" + good[strings.Index(good, "[[tenant]]"):]
}

func TestPatroniMistakes(t *testing.T) {
	const admin = "admin_url = \"host=a\"\n"
	for name, c := range map[string]struct {
		settings string
		want     []string
	}{
		"with members": {
			"members = [\"a:1\"]\n" + admin + "patroni = [\"http://u:hunter2@a:8008\"]",
			[]string{`3: the members of cluster "main" are found by patroni; remove members, or patroni`},
		},
		"without admin_url": {
			"patroni = [\"http://u:hunter2@a:8008\"]",
			[]string{`3: patroni without admin_url in cluster "main"; write admin_url too`},
		},
		"with an empty admin_url": {
			"patroni = [\"http://a:8008\"]\nadmin_url = \"\"",
			[]string{`3: patroni without admin_url in cluster "main"`},
		},
		"no URLs": {
			admin + "patroni = [\"a:8008\", \"ftp://u:hunter2@a\", \"http://u:hunter2@\", \"http://u:hunter2@a b\", \"http://a/?x=hunter2\", \"https://u:hunter2@a\", \"https://v:hunter2@a\"]",
			[]string{
				`4: number 1 of patroni is no URL of a REST API; write "http://10.0.0.1:8008"`,
				`4: number 2 of patroni`, `4: number 3 of patroni`, `4: number 4 of patroni`, `4: number 5 of patroni`,
				`4: patroni names "a" twice; remove one`,
			},
		},
		"empty": {
			admin + "patroni = []",
			[]string{`4: patroni of cluster "main" is empty; write patroni = ["http://10.0.0.1:8008"]`},
		},
		"no list": {
			admin + "patroni = \"http://u:hunter2@a\"",
			[]string{`4: patroni is no list of strings; write a list of strings such as ["http://10.0.0.1:8008"]`},
		},
		"authorities that are not there": {
			admin + "patroni = [\"https://a\"]\npatroni_ca_file = \"none\"",
			[]string{`5: patroni_ca_file "`},
		},
	} {
		t.Run(name, func(t *testing.T) { checkMistakes(t, patroniConfig(c.settings), c.want) })
	}
}

func TestPatroni(t *testing.T) {
	c := mustLoad(t, patroniConfig("patroni = [\"http://a:8008\", \"https://u:p@b/patroni\"]\nadmin_url = \"host=a\"\npatroni_ca_file = \"\""))
	cluster := c.Clusters[0]
	if len(cluster.Members) != 0 || !slices.Equal(cluster.Patroni, []string{"http://a:8008", "https://u:p@b/patroni"}) {
		t.Errorf("the cluster is %+v", cluster)
	}
	if len(c.Notes) != 1 || c.Notes[0].Line != 3 || strings.Contains(c.Notes[0].Problem, "u:p") {
		t.Errorf("notes %v", c.Notes)
	}
}
