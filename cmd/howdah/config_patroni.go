package main

import (
	"net/url"
	"strings"

	"howdah/tenants"
)

// checkPatroni notes what is wrong with how a cluster's members are found. A URL
// may hold a password: only its host is said.
func (r *configReader) checkPatroni(c *tenants.Cluster, b block) {
	at := b.key("patroni")
	if len(c.Patroni) == 0 {
		if b.has("patroni") && !isMistyped(b, "patroni") {
			r.wrong(at, `write patroni = ["http://10.0.0.1:8008"], or remove it`, "patroni of cluster %q is empty", c.Name)
		}
		if b.has("patroni_ca_file") {
			r.note(b.key("patroni_ca_file"), "write patroni too, or remove it", "patroni_ca_file of cluster %q does nothing without patroni", c.Name)
		}
		return
	}
	if b.has("members") {
		r.wrong(b.key("members"), "remove members, or patroni", "the members of cluster %q are found by patroni", c.Name)
	}
	if _, text := b.keys["admin_url"].(string); c.AdminURL == "" && (text || !b.has("admin_url")) {
		r.wrong(at, "write admin_url too: its role asks each member what it is", "patroni without admin_url in cluster %q", c.Name)
	}
	seen := map[string]bool{}
	secure := false
	for i, text := range c.Patroni {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
			r.wrong(at, `write "http://10.0.0.1:8008"`, "number %d of patroni is no URL of a REST API", i+1)
			continue
		}
		if seen[u.Host] {
			r.wrong(at, "remove one", "patroni names %q twice", u.Host)
		}
		if strings.Trim(u.Path, "/") != "" {
			r.note(at, "write it without", "patroni %q has a path: %q is asked below it", u.Host, "/cluster")
		}
		secure = secure || u.Scheme == "https"
		seen[u.Host] = true
	}
	if c.PatroniCAFile != "" && !secure {
		r.note(b.key("patroni_ca_file"), `write "https://…" in patroni, or remove it`, "patroni_ca_file of cluster %q does nothing: no API is asked over TLS", c.Name)
	}
}
