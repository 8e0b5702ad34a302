package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"howdah/admin/jobs"
	"howdah/backup/filestore"
	"howdah/backup/restore"
	"howdah/backup/store"
	"howdah/provision/dump"
	"howdah/tenants/catalog"
)

// An Odoo database refers to files that Odoo keeps beside it (package backup/filestore). What
// is restored of a database needs those that it referred to then: they are fetched into the
// folder that Odoo has for it, where this machine has that, and nothing there is replaced or
// deleted. A database that is restored without them is better than none: what goes wrong with
// them is told, and ends nothing.

// wantedFiles says where the files of a database are looked for, and whose they are to be.
type wantedFiles struct {
	clusters []string  // of which it may be, the most likely first
	names    []string  // that its folder may have had, likewise
	target   time.Time // the zero: nobody knows
	user     string    // as whom the tenant logs in
	copy     string    // the ID of the tenant, if it is one of its own
}

// files says it of what is restored.
func (p *restoring) files() *wantedFiles {
	w := &wantedFiles{clusters: distinct(p.From, p.Source.Cluster), names: distinct(p.Was, p.Source.Name, p.Source.Database), user: p.User, copy: p.ID}
	if p.Swap {
		w.user, w.copy = p.Source.User, ""
	}
	if target, err := restore.ParseTarget(p.Target); err == nil {
		w.target = target.Time
	}
	return w
}

// distinct returns those of the texts that are none of those before, nor empty.
func distinct(all ...string) (some []string) {
	for _, text := range all {
		if text != "" && !slices.Contains(some, text) {
			some = append(some, text)
		}
	}
	return some
}

// filestores are where the files are looked for.
func (f *Fleet) filestores(w *wantedFiles) (all filestore.Filestores, err error) {
	for _, cluster := range w.clusters {
		repo, err := f.repository(cluster)
		if err != nil {
			return nil, err
		}
		for _, name := range w.names {
			all = append(all, &filestore.Filestore{Repo: repo, Database: name})
		}
	}
	return all, nil
}

// broughtFiles is what came of it, as the operation's result has it.
type broughtFiles struct {
	Files   int        `json:"files"`  // that the database refers to
	Stored  int        `json:"stored"` // of those
	Lacking []string   `json:"missing_names,omitempty"`
	Missing int        `json:"missing"` // of which those are the first
	Foreign int        `json:"foreign,omitempty"`
	Synced  *time.Time `json:"synced,omitempty"` // when the last sync began that came to its end
	Late    bool       `json:"synced_before_target,omitempty"`
	Into    string     `json:"into,omitempty"`
	New     int        `json:"new_files,omitempty"` // that were fetched into it
	Bytes   int64      `json:"new_bytes,omitempty"`
	Trouble string     `json:"trouble,omitempty"`
	Command string     `json:"command,omitempty"` // that fetches what this Howdah has not
}

// filesNamed is how many names of missing files are told.
const filesNamed = 20

// bringFiles fetches the files of these names, as far as it can, and adds to the result what
// came of it. Its error is the context's.
func (f *Fleet) bringFiles(ctx context.Context, r *jobs.Run, w *wantedFiles, names []string, unread error, result map[string]any) error {
	if len(names) == 0 && unread == nil {
		return nil // it is not Odoo's, or has none
	}
	b := &broughtFiles{Files: len(names)}
	err := unread
	if err == nil {
		err = f.fetchFiles(ctx, r.Tenant, w, names, b)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		b.Trouble = err.Error()
		f.Log.Warn("files that a restored database refers to are not fetched", "tenant", r.Tenant, "error", err)
	}
	if b.Into == "" || err != nil || b.Missing > 0 {
		b.Command = w.command(r.Tenant)
	}
	if before, ok := result["filestore"].(*broughtFiles); ok {
		b.New, b.Bytes = b.New+before.New, b.Bytes+before.Bytes
	}
	result["filestore"], result["files"] = b, b.says(w)
	return nil
}

func (f *Fleet) fetchFiles(ctx context.Context, tenant string, w *wantedFiles, names []string, b *broughtFiles) error {
	all, err := f.filestores(w)
	if err != nil {
		return err
	}
	found, err := all.Look(ctx, names)
	if err != nil {
		return err
	}
	b.Stored, b.Foreign = found.Stored, len(found.Foreign)
	b.lack(found.Missing)
	if !found.Synced.IsZero() {
		b.Synced, b.Late = &found.Synced, found.Synced.Before(w.target)
	}
	into, err := f.folderOf(tenant, w.copy)
	if err != nil || into == "" {
		return err
	}
	fetched, err := all.Fetch(ctx, names, into, filestore.FetchOptions{Trust: true, Inside: true})
	if errors.Is(err, store.ErrNoIdentity) {
		return fmt.Errorf("set identity_file of [backup]: %w", err)
	}
	b.New, b.Bytes = fetched.New, fetched.Bytes
	if err != nil {
		return err
	}
	b.Into = into
	b.lack(append(fetched.Missing, fetched.Damaged...))
	return nil
}

func (b *broughtFiles) lack(names []string) {
	b.Missing, b.Lacking = len(names), names[:min(len(names), filesNamed)]
}

// folderOf returns the folder that Odoo has for a tenant's files, "" where it is not known
// here. That of a copy, with this ID, is made.
func (f *Fleet) folderOf(tenant, copied string) (string, error) {
	dir := f.filestoreDir()
	switch {
	case dir == "":
		return "", nil
	case copied != "":
		return filestore.MakeCopy(dir, tenant, copied)
	}
	path, err := filestore.Folder(dir, tenant)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no folder %q in filestore_dir %q: is the disk mounted, and is it Odoo's? (%w)", tenant, dir, fs.ErrNotExist)
	}
	return path, err
}

// filestoreDir is the folder that has one for each database, "" if there is none.
func (f *Fleet) filestoreDir() string {
	if f.FilestoreDir == nil {
		return ""
	}
	return f.FilestoreDir()
}

// says tells people what came of it.
func (b *broughtFiles) says(w *wantedFiles) string {
	var text strings.Builder
	if b.Files == 0 {
		fmt.Fprintf(&text, "it is not known which files the database refers to")
	} else {
		fmt.Fprintf(&text, "the database refers to %d files, of which %d are stored", b.Files, b.Stored)
	}
	if b.Into != "" {
		fmt.Fprintf(&text, "; %d are in %s, of which %d were fetched (%s)", b.Files-b.Foreign-b.Missing, b.Into, b.New, dump.Size(b.Bytes))
	}
	if b.Foreign > 0 {
		fmt.Fprintf(&text, "; %d are kept by another program than Odoo", b.Foreign)
	}
	if b.Missing > 0 {
		fmt.Fprintf(&text, "; %d are missing: %s", b.Missing, shortOf(b.Lacking, b.Missing))
	}
	switch {
	case b.Missing == 0:
	case b.Synced == nil:
		text.WriteString("; no `howdah filestore sync` has come to its end: run it on Odoo's host, which may have them still")
	case b.Late:
		fmt.Fprintf(&text, "; the last `howdah filestore sync` that came to its end began at %s, before %s: run it on Odoo's host, which may have them still", b.Synced.Format(time.RFC3339), w.target.UTC().Format(time.RFC3339))
	default:
		fmt.Fprintf(&text, "; the last `howdah filestore sync` that came to its end began at %s", b.Synced.Format(time.RFC3339))
	}
	if b.Trouble != "" {
		fmt.Fprintf(&text, "; they were not fetched: %s", b.Trouble)
	}
	if b.Command != "" {
		fmt.Fprintf(&text, "; on Odoo's host, with PGHOST, PGPORT and PGPASSWORD of the restored database: %s", b.Command)
	}
	return text.String()
}

// shortOf is short for the first of so many.
func shortOf(names []string, of int) string {
	const told = 5
	if of <= told {
		return short(names)
	}
	return fmt.Sprintf("%s, and %d more", short(names[:told]), of-told)
}

// command is what Odoo's host fetches the files by, whenever that is.
func (w *wantedFiles) command(tenant string) string {
	words := []string{"howdah", "filestore", "restore", "--cluster", w.clusters[0]}
	for _, name := range w.names {
		words = append(words, "--database", name)
	}
	database := url.URL{Scheme: "postgres", User: url.User(w.user), Path: "/" + tenant}
	words = append(words, "--from-database", database.String(), "--into", "DATA_DIR/filestore/"+tenant)
	for i, word := range words {
		if !plainWord.MatchString(word) {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// plainWord is a word that means itself in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=-]+$`)

// namesMost is how many bytes the names of a database's files may have: those of a million and
// a half. The command that Odoo's host runs takes any.
const namesMost = 64 << 20

// namesWithin is how long a live database may take to say them: a tenant can have it take for
// ever.
const namesWithin = 10 * time.Minute

// filesOfDatabase is bringFiles for what a live database refers to.
func (f *Fleet) filesOfDatabase(ctx context.Context, r *jobs.Run, w *wantedFiles, cluster, database string, result map[string]any) error {
	if f.Repository == nil {
		return nil
	}
	names, err := f.filesNamedIn(ctx, cluster, database)
	return f.bringFiles(ctx, r, w, names, err, result)
}

func (f *Fleet) filesNamedIn(ctx context.Context, cluster, database string) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, namesWithin, fmt.Errorf("database %q has not said within %s which files it refers to", database, namesWithin))
	defer cancel()
	conn, err := f.logIn(ctx, cluster, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	names, err := filestore.NamesInDatabase(ctx, conn, namesMost)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return names, err
}

// keepCopyFiles has the folder of files stay that was made for a tenant's of this name, which has
// another from now on.
func (f *Fleet) keepCopyFiles(tenant string) {
	dir := f.filestoreDir()
	if dir == "" {
		return
	}
	if err := filestore.Disown(dir, tenant); err != nil {
		f.Log.Warn("the folder of files of a tenant that is renamed cannot be marked as nobody's copy", "tenant", tenant, "filestore_dir", dir, "error", err)
	}
}

// removeCopyFiles removes the folder of files that was made for this tenant's, where no tenant is
// called so, nor one that is kept but that which an operation has put away.
func (f *Fleet) removeCopyFiles(ctx context.Context, tenant, id, but string) {
	dir := f.filestoreDir()
	if dir == "" {
		return
	}
	removed, err := false, f.nobodyCalled(ctx, tenant, but)
	if err == nil {
		removed, err = filestore.RemoveCopy(dir, tenant, id)
	}
	switch {
	case errors.Is(err, catalog.ErrExists):
	case err != nil:
		f.Log.Warn("the folder of files of a tenant that is gone is not removed", "tenant", tenant, "filestore_dir", dir, "error", err)
	case removed:
		f.Log.Info("the folder of files of a copy is removed with it", "tenant", tenant, "filestore_dir", dir)
	}
}

// nobodyCalled is catalog.ErrExists where a tenant is called so, or one that is kept.
func (f *Fleet) nobodyCalled(ctx context.Context, name, but string) error {
	if _, is := f.Registry.Snapshot().Tenant(name); is {
		return catalog.ErrExists
	}
	_, err := f.Catalog.Entry(ctx, catalog.Tenant, name)
	if !errors.Is(err, catalog.ErrNotFound) {
		return cmp.Or(err, error(catalog.ErrExists))
	}
	kept, err := f.Catalog.DroppedTenants(ctx)
	if err == nil && slices.ContainsFunc(kept, func(d catalog.Dropped) bool { return d.Name == name && d.Operation != but }) {
		err = catalog.ErrExists
	}
	return err
}
