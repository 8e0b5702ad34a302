package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"howdah/tenants"
)

// configReader turns the text of a file into a Config and collects what is wrong
// on the way. It goes on after a mistake: the setting keeps its default.
type configReader struct {
	dir      string // relative paths in the file start here
	lines    keyLines
	rows     map[section][]setting
	config   *Config
	mistakes []Mistake

	// Which of a file's entries are which of the config's: an entry without a
	// usable name is left out, so indexes differ. Keyed by position in config.
	storeAt, clusterAt, tierAt, tenantAt, userAt []block
}

// block is one table of the file.
type block struct {
	path   []string // for lines
	keys   map[string]any
	limits bool // takes limits beside its own settings
}

// has reports whether the file gives the setting in this block.
func (b block) has(name string) bool {
	_, ok := b.keys[name]
	return ok
}

// parseConfig reads text, which path was read from. dir is path's folder.
func parseConfig(path, dir, text string) (*Config, error) {
	return parseSource(path, source{dir: dir, text: text})
}

func parseSource(path string, from source) (*Config, error) {
	r := &configReader{dir: from.dir, config: defaultConfig(), rows: make(map[section][]setting)}
	r.config.Path, r.config.source = path, from
	for _, s := range settings() {
		r.rows[s.section] = append(r.rows[s.section], s)
	}
	var file map[string]any
	if _, err := toml.Decode(from.text, &file); err != nil {
		return nil, &ConfigError{Path: path, Mistakes: []Mistake{syntaxMistake(err)}}
	}
	from.overlay(&file)
	r.lines = scanKeys(from.text)
	r.readSections(file)
	r.config.identify(from.entries)
	r.check()
	if len(r.mistakes) > 0 {
		return nil, &ConfigError{Path: path, Mistakes: sortMistakes(r.mistakes)}
	}
	r.config.Notes = sortMistakes(r.config.Notes)
	return r.config, nil
}

// syntaxMistake says what the decoder says. It stops at the first mistake, so
// the others can be told only once the file is TOML.
func syntaxMistake(err error) Mistake {
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		return Mistake{Problem: strings.TrimPrefix(err.Error(), "toml: "), Remedy: "write TOML, https://toml.io"}
	}
	problem := parse.Message
	if problem == "" {
		problem = parse.Error()
	}
	remedy := "mend this first: other mistakes show once the file is TOML"
	if strings.Contains(problem, "already been defined") {
		remedy = "keep one of the two"
	}
	return Mistake{Line: parse.Position.Line, Problem: "not TOML: " + problem, Remedy: remedy}
}

// wrong notes a mistake at a key.
func (r *configReader) wrong(at []string, remedy, problem string, args ...any) {
	r.mistakes = append(r.mistakes, Mistake{
		Line: r.lines.line(at...), Problem: fmt.Sprintf(problem, args...), Remedy: remedy,
	})
}

// note notes what is worth a look but no mistake.
func (r *configReader) note(at []string, remedy, problem string, args ...any) {
	r.config.Notes = append(r.config.Notes, Mistake{
		Line: r.lines.line(at...), Problem: fmt.Sprintf(problem, args...), Remedy: remedy,
	})
}

// key is the path of a key in the block.
func (b block) key(name string) []string { return append(slices.Clone(b.path), name) }

func (r *configReader) readSections(file map[string]any) {
	r.refuseUnknownSections(file)
	at := r.config.place()
	for _, in := range sections() {
		value, ok := file[string(in)]
		if !ok {
			continue
		}
		if in.once() {
			if keys, ok := r.table(in, value); ok {
				r.fill(in, block{path: []string{string(in)}, keys: keys}, at)
			}
			continue
		}
		for i, keys := range r.tables(in, value) {
			r.readEntry(in, block{path: []string{string(in), element(i)}, keys: keys})
		}
	}
}

func (r *configReader) refuseUnknownSections(file map[string]any) {
	var known, headers []string
	for _, s := range sections() {
		known = append(known, string(s))
		headers = append(headers, s.header())
	}
	for _, name := range slices.Sorted(maps.Keys(file)) {
		if slices.Contains(known, name) {
			continue
		}
		at := []string{name}
		noun, all := "setting outside any section", r.names("", block{})
		switch file[name].(type) {
		case map[string]any, []map[string]any:
			noun, all = "section", nil
		}
		meant := nearest(name, all)
		switch section := section(nearest(name, known)); {
		case noun == "section" && section != "":
			r.wrong(at, "write "+section.header(), "unknown section %q", name)
		case meant != "":
			r.wrong(at, fmt.Sprintf("write %q under %s", meant, r.homesOf(meant)), "%q is a %s", name, noun)
		default:
			r.wrong(at, "remove it; the sections are "+strings.Join(headers, " "), "unknown %s %q", noun, name)
		}
	}
}

func (r *configReader) table(in section, value any) (map[string]any, bool) {
	keys, ok := value.(map[string]any)
	if !ok {
		r.wrong([]string{string(in)}, "write "+in.header(), "%s is not a table", in)
	}
	return keys, ok
}

// tables returns the entries of an array of tables, in either notation.
func (r *configReader) tables(in section, value any) []map[string]any {
	switch v := value.(type) {
	case []map[string]any:
		return v
	case []any:
		var out []map[string]any
		for _, e := range v {
			keys, ok := e.(map[string]any)
			if !ok {
				break
			}
			out = append(out, keys)
		}
		if len(out) == len(v) {
			return out
		}
	}
	r.wrong([]string{string(in)}, "write "+in.header(), "%s is not a list of tables", in)
	return nil
}

// readEntry reads one [[store]], [[cluster]], [[tier]], [[tenant]] or [[user]].
func (r *configReader) readEntry(in section, b block) {
	c := r.config
	switch in {
	case sectionStore:
		var s Store
		r.fillNew(in, b, &place{store: &s})
		c.Stores = append(c.Stores, s)
		r.storeAt = append(r.storeAt, b)
	case sectionCluster:
		var cluster tenants.Cluster
		r.fillNew(in, b, &place{cluster: &cluster})
		c.Clusters = append(c.Clusters, cluster)
		r.clusterAt = append(r.clusterAt, b)
	case sectionTier:
		tier := c.Defaults
		b.limits = true
		r.fillNew(in, b, &place{tier: &tier, limits: &tier})
		c.Tiers = append(c.Tiers, tier)
		r.tierAt = append(r.tierAt, b)
	case sectionTenant:
		r.readTenant(b)
	case sectionUser:
		var user tenants.User
		r.fillNew(in, b, &place{user: &user})
		c.Users = append(c.Users, user)
		r.userAt = append(r.userAt, b)
	}
}

// readTenant resolves the tenant's limits: sections come in an order that has
// the defaults and the tiers read before.
func (r *configReader) readTenant(b block) {
	limits := r.config.Defaults
	if name, ok := b.keys["tier"].(string); ok {
		if tier := r.config.tier(name); tier != nil {
			limits = *tier
		}
	}
	var t tenants.Tenant
	b.limits = true
	r.fillNew(sectionTenant, b, &place{tenant: &t, limits: &limits})
	t.Limits, t.Reads, t.Role, t.Backup, t.Loops = limits.Limits, limits.Reads, limits.Role, limits.Backup, limits.Loops
	t.QuotaRules.ExemptUsers = limits.QuotaRules.ExemptUsers
	if t.Name != tenants.Fallback {
		if !b.has("database") {
			t.Database = t.Name
		}
		if !b.has("user") {
			t.User = t.Name
		}
	}
	if !b.has("cluster") {
		t.Cluster = onlyCluster(r.config.Clusters)
	}
	r.config.Tenants = append(r.config.Tenants, t)
	r.tenantAt = append(r.tenantAt, b)
}

// onlyCluster returns the name all clusters have, "" if there are several: one
// that stands twice is a mistake of its own, not one of every tenant.
func onlyCluster(clusters []tenants.Cluster) string {
	if len(clusters) == 0 {
		return ""
	}
	name := clusters[0].Name
	if slices.ContainsFunc(clusters, func(c tenants.Cluster) bool { return c.Name != name }) {
		return ""
	}
	return name
}

// fillNew fills an entry that starts from its section's defaults.
func (r *configReader) fillNew(in section, b block, at *place) {
	for _, s := range r.rows[in] {
		s.setDefault(at)
	}
	r.fill(in, b, at)
}

// fill sets every key of the block, in the file's order of names so that the
// outcome does not depend on chance.
func (r *configReader) fill(in section, b block, at *place) {
	for _, name := range slices.Sorted(maps.Keys(b.keys)) {
		s := r.row(in, b, name)
		if s == nil {
			r.unknownKey(in, b, name)
			continue
		}
		value := b.keys[name]
		if want := s.set(at, value); want != "" {
			r.wrong(b.key(name), "write "+want, "%s is %s", name, display(s, value))
			continue
		}
		if home, ok := s.at(at).(*string); ok && strings.HasSuffix(name, "_file") {
			r.openable(b.key(name), name, home)
		}
	}
}

func (r *configReader) row(in section, b block, name string) *setting {
	for i := range r.rows[in] {
		if r.rows[in][i].name == name {
			return &r.rows[in][i]
		}
	}
	if b.limits {
		return r.row(sectionLimits, block{}, name)
	}
	return nil
}

// unknownKey says where a key belongs, or which one was meant.
func (r *configReader) unknownKey(in section, b block, name string) {
	at, here := b.key(name), in.header()
	if homes := r.homesOf(name); homes != "" {
		r.wrong(at, "write it under "+homes, "%s does not belong in %s", name, here)
		return
	}
	meant := nearest(name, r.names(in, b))
	if s := r.named(name); s != nil {
		meant = s.name
	}
	if meant == "" {
		meant = nearest(name, r.names("", block{}))
	}
	switch {
	case meant == "":
		r.wrong(at, "remove it; `howdah help settings` lists all", "unknown setting %q in %s", name, here)
	case r.row(in, b, meant) != nil:
		r.wrong(at, fmt.Sprintf("write %q", meant), "unknown setting %q in %s", name, here)
	default:
		r.wrong(at, fmt.Sprintf("write %q under %s", meant, r.homesOf(meant)), "unknown setting %q in %s", name, here)
	}
}

// names lists the settings the block takes, or all if there is no section.
func (r *configReader) names(in section, b block) []string {
	var names []string
	for _, home := range sections() {
		if in != "" && home != in && (home != sectionLimits || !b.limits) {
			continue
		}
		for _, s := range r.rows[home] {
			names = append(names, s.name)
		}
	}
	return names
}

// homesOf returns the headers under which a setting of that name may stand.
func (r *configReader) homesOf(name string) string {
	var homes []string
	for _, in := range sections() {
		if !slices.ContainsFunc(r.rows[in], func(s setting) bool { return s.name == name }) {
			continue
		}
		homes = append(homes, in.header())
		if in == sectionLimits {
			homes = append(homes, sectionTier.header(), sectionTenant.header())
		}
	}
	if len(homes) < 2 {
		return strings.Join(homes, "")
	}
	return strings.Join(homes[:len(homes)-1], ", ") + " or " + homes[len(homes)-1]
}

// named finds the setting that PgBouncer calls name.
func (r *configReader) named(name string) *setting {
	for _, in := range sections() {
		for i := range r.rows[in] {
			if r.rows[in][i].shown == name {
				return &r.rows[in][i]
			}
		}
	}
	return nil
}

// openable makes a file's path absolute and notes a file that cannot be read.
func (r *configReader) openable(at []string, name string, path *string) {
	if *path == "" {
		return
	}
	*path = r.absolute(*path)
	f, err := os.Open(*path)
	if err != nil {
		r.wrong(at, "write the path of a file that can be read", "%s %q: %v", name, *path, unwrapPath(err))
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		r.wrong(at, "write the path of a file", "%s %q is a folder", name, *path)
	}
}

func (r *configReader) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(r.dir, path)
}

// display renders a value for a message.
func display(s *setting, value any) string {
	if s.secret && s.kind() == "list of strings" {
		return "no list of strings"
	}
	if s.secret {
		return "no string"
	}
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case map[string]any, []map[string]any:
		return "a table"
	case []any:
		return "the list " + strings.Join(strings.Fields(fmt.Sprintf("%q", v)), ", ")
	}
	return fmt.Sprint(value)
}
