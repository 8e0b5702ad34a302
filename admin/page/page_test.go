package page_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"howdah/admin/page"
	"howdah/admin/page/browsertest"
)

// stub answers as the API does, with what a test puts into it.
type stub struct {
	mu      sync.Mutex
	answers map[string]string // by method and path; "409 text" is a problem
	asked   []string          // what was not only read, with its body
	keys    []string          // the Idempotency-Keys of that
}

func (s *stub) put(endpoint, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[endpoint] = answer
}

// requests are what was asked for but for reads, since this was called last.
func (s *stub) requests() (asked, keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, keys = s.asked, s.keys
	s.asked, s.keys = nil, nil
	return asked, keys
}

// ServeHTTP implements http.Handler.
func (s *stub) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/api/v1")
	if r.URL.Query().Get("dry_run") == "true" {
		path += "?dry_run"
	}
	body, _ := io.ReadAll(r.Body)
	token, known := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	answer := s.answers[r.Method+" "+path]
	switch {
	case !known || token == "wrong":
		answer = "401 no such token, or it has expired"
	case path == "/me" && answer == "":
		answer = fmt.Sprintf(`{"name":"anna","role":%q}`, token)
	case r.Method != http.MethodGet:
		s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+path+" "+string(body)))
		s.keys = append(s.keys, r.Header.Get("Idempotency-Key"))
	}
	rw.Header().Set("Content-Type", "application/json")
	status := 0
	switch n, _ := fmt.Sscanf(answer, "%d ", &status); {
	case answer == "":
		rw.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(rw, `{"title":"Not Found","detail":"%s is not found"}`, path)
	case n == 1:
		rw.WriteHeader(status)
		detail, _ := json.Marshal(answer[4:])
		fmt.Fprintf(rw, `{"title":%q,"status":%d,"detail":%s,"errors":[{"message":"more of it","location":"body.to"}]}`, http.StatusText(status), status, detail)
	default:
		io.WriteString(rw, answer)
	}
}

const (
	bases = `[{"id":"20260131T010000Z.inc","since":"20260130T010000Z.bbb","major":17,"started":"2026-01-31T01:00:00Z","finished":"2026-01-31T01:02:00Z","size":41000000,"stored":9000000,"databases":500,"timeline":1,"oldest":"2026-01-31T01:02:00Z","newest":"2026-01-31T10:40:00Z"},
		{"id":"20260130T010000Z.bbb","major":17,"started":"2026-01-30T01:00:00Z","finished":"2026-01-30T01:10:00Z","size":123456789012,"stored":45678901234,"databases":500,"timeline":1,"held":true,"held_by":"bert","held_for":"case 4711","oldest":"2026-01-30T01:10:00Z","newest":"2026-01-31T10:40:00Z"},
		{"id":"20260129T010000Z.aaa","major":17,"started":"2026-01-29T01:00:00Z","finished":"2026-01-29T01:10:00Z","size":123000000000,"stored":45000000000,"databases":499,"timeline":1,"oldest":"2026-01-29T01:10:00Z","newest":"2026-01-29T20:00:00Z"}]`
	wal    = `{"state":"receiving","timeline":1,"durable_until":"2026-01-31T10:45:00Z","rpo_seconds":0.8,"rpo_promised_seconds":5,"gaps":1,"slot_status":"reserved","slot_retained_bytes":33554432}`
	drills = `[{"id":"x","database":"acme","started":"2026-01-31T04:00:00Z","finished":"2026-01-31T04:00:21Z","target":"2026-01-31T03:10:00Z","base_backup":"20260131T010000Z.inc","passed":true,"rpo_seconds":0.7,"rto_seconds":18.4,"bytes":1,"wal_bytes":1,"databases":1,"invalid_page_lines":0},
		{"id":"y","started":"2026-01-30T04:00:00Z","finished":"2026-01-30T04:09:00Z","passed":false,"rpo_seconds":1,"bytes":1,"wal_bytes":1,"databases":0,"invalid_page_lines":0,"error":"decrypt: no identity matched"}]`
	tenant = `{"name":"acme","id":"11111111-0000-4000-8000-000000000000","source":"catalog","state":"active","cluster":"main","database":"acme","user":"acme","tier":"gold","created":"2025-06-01T08:00:00Z","backups":{"oldest":"2026-01-29T08:00:00Z","newest":"2026-01-31T10:40:00Z","size":61000000,"wal_bytes_day":0,"rto_seconds":312,"rto_promised_seconds":900,"drilled":"2026-01-31T04:00:21Z"}}`
	plan   = `{"name":"acme_restored","cluster":"main","tenant":"acme","target":"2026-01-31T09:41:59Z","base_backup":"20260131T010000Z.inc","base_backup_taken":"2026-01-31T01:02:00Z","fetch_bytes":1500000,"wal_bytes":99000000,"room_bytes":240000000,"about_seconds":42,"steps":["fetch 1.5 MB","recover"]}`
	job    = `{"id":"22222222-0000-4000-8000-000000000000","kind":"restore","tenant":"acme_restored","state":"%s","step":"fetch","done":%d,"total":100,"actor":"anna","created":"2026-01-31T10:50:00Z","started":"2026-01-31T10:50:00Z","finished":"2026-01-31T10:50:42Z"%s}`
)

// show has a browser show the page to who has a role, with a house of 500 tenants behind it.
func show(t *testing.T, role string) (*browsertest.Tab, *stub) {
	t.Helper()
	s := &stub{answers: map[string]string{
		"GET /clusters":               `[{"name":"main","source":"catalog","tenants":500},{"name":"spare","source":"file","tenants":0}]`,
		"GET /clusters/main/backups":  bases,
		"GET /clusters/main/wal":      wal,
		"GET /clusters/spare/backups": "404 backups of cluster \"spare\": not found",
		"GET /clusters/spare/wal":     "404 backups of cluster \"spare\": not found",
		"GET /clusters/main/drills":   drills,
		"GET /clusters/spare/drills":  "404 backups of cluster \"spare\": not found",
		"GET /tenants":                "[" + tenant + `,{"name":"globex","source":"file","state":"suspended","cluster":"main","database":"globex","user":"globex"}]`,
		"GET /tenants/acme":           tenant,
		"GET /tenants/acme/exports":   `[]`,
		"GET /dropped":                `[]`,
		"GET /jobs":                   `[]`,
	}}
	mux := http.NewServeMux()
	mux.Handle("/", page.Handler())
	mux.Handle("/api/", s)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	tab := browsertest.Open(t, server.URL)
	tab.Size(1200, 900)
	tab.Fill("Token", role)
	tab.Key("Enter")
	return tab, s
}

// soon waits for what is asked for besides reads.
func (s *stub) soon(t *testing.T, want ...string) (keys []string) {
	t.Helper()
	var all []string
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		asked, more := s.requests()
		all, keys = append(all, asked...), append(keys, more...)
		if slices.Equal(all, want) {
			return keys
		}
		if len(all) > len(want) || time.Now().After(end) {
			t.Fatalf("asked is %q, want %q", all, want)
		}
	}
}

// fits fails where something is wider than the window, or a field has no label.
func fits(t *testing.T, tab *browsertest.Tab, what string) {
	t.Helper()
	var wide []string
	tab.Eval(`[...document.querySelectorAll('body, main, section, dialog, dialog *, table')].filter(e => e.checkVisibility() && (e.scrollWidth > Math.max(e.clientWidth, 1) + 1 && getComputedStyle(e).display !== 'inline' && !['SELECT', 'INPUT', 'OPTION'].includes(e.tagName) || e.getBoundingClientRect().right > innerWidth + 1)).map(e => e.tagName + '.' + e.className + ' ' + e.innerText.slice(0, 40))`, &wide)
	if len(wide) > 0 {
		t.Errorf("%s: wider than the window: %q", what, wide)
	}
	var nameless []string
	tab.Eval(`[...document.querySelectorAll('input, select, button')].filter(e => e.checkVisibility() && !e.labels?.length && !e.ariaLabel && !e.innerText.trim()).map(e => e.outerHTML)`, &nameless)
	if len(nameless) > 0 {
		t.Errorf("%s: fields without a label: %q", what, nameless)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	h := page.Handler()
	for path, want := range map[string]string{"/": "text/html; charset=utf-8", "/page/app.js": "text/javascript; charset=utf-8", "/page/page.css": "text/css; charset=utf-8", "/page/icon.svg": "image/svg+xml"} {
		rw := httptest.NewRecorder()
		h.ServeHTTP(rw, httptest.NewRequest(http.MethodGet, path, nil))
		header := rw.Header()
		if rw.Code != http.StatusOK || header.Get("Content-Type") != want || !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';") || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, rw.Code, header)
		}
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("If-None-Match", header.Get("ETag"))
		again := httptest.NewRecorder()
		if h.ServeHTTP(again, r); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s, which the browser has: %d", path, again.Code)
		}
	}
	for _, path := range []string{"/page/", "/page/index.html", "/page/nothing.js", "/other"} {
		rw := httptest.NewRecorder()
		if h.ServeHTTP(rw, httptest.NewRequest(http.MethodGet, path, nil)); rw.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rw.Code)
		}
	}
}

func TestClusters(t *testing.T) {
	t.Parallel()
	tab, s := show(t, "wrong")
	tab.Sees("no such token, or it has expired")
	tab.Screenshot("sign in")
	tab.Fill("Token", "operator")
	tab.Press("Sign in")
	for _, want := range []string{"anna, operator", "0.8 s old, of 5 s at most", "2026-01-31 11:45:00", "WAL: receiving", "reserved; the primary keeps 33.6 MB", "1 time", "Not restorable: 2026-01-29 21:00:00 to 2026-01-30 02:10:00 (5 h)", "Times are of Europe/Brussels", "incremental", "held", "123 GB", "passed 2026-01-31 05:00:21: restored in 18 s, 0.7 s would have been lost", `backups of cluster "spare": not found`} {
		tab.Sees(want)
	}
	tab.Screenshot("clusters")
	tab.Press("Drills of main")
	tab.Sees("decrypt: no identity matched")
	tab.Choose("Times are of", "UTC")
	tab.Sees("2026-01-31 10:45:00")
	s.put("POST /clusters/main/backups", "409 not now: <b>another node</b> receives")
	tab.Press("Take a base backup now")
	tab.Sees("not now: <b>another node</b> receives") // as it is
	tab.Sees("body.to: more of it")
	s.put("POST /clusters/main/backups", "{}")
	tab.Press("Take a base backup now")
	tab.Sees("has been asked for")
	s.soon(t, "POST /clusters/main/backups", "POST /clusters/main/backups")
	const hold = "/clusters/main/backups/20260131T010000Z.inc/hold"
	tab.Press("Hold… the base backup of 2026-01-31T01:00:00Z")
	tab.Fill("Reason", "case <i>12</i>")
	s.put("PUT "+hold, "503 the store cannot be used")
	tab.Press("Hold")
	tab.Sees("the store cannot be used")
	tab.Screenshot("hold")
	s.put("PUT "+hold, "{}")
	tab.Press("Hold")
	tab.Sees("shows in the list in a few seconds")
	s.soon(t, "PUT "+hold+` {"reason":"case <i>12</i>","until":""}`, "PUT "+hold+` {"reason":"case <i>12</i>","until":""}`)
	tab.Sees("by bert: case 4711")
	if there, enabled := tab.Enabled("Release the base backup of 2026-01-30T01:00:00Z"); !there || enabled {
		t.Errorf("an operator may release: %t, %t", there, enabled)
	}
	tab.Size(360, 800)
	tab.Dark(true)
	tab.Screenshot("clusters phone dark")
	fits(t, tab, "clusters")
	s.put("GET /clusters", "503 the catalog is away")
	tab.Press("Tenants")
	tab.Sees("globex")
	tab.Press("Backups")
	tab.Sees("the catalog is away")
	s.put("GET /me", "503 nobody knows who may what")
	tab.Eval("location.reload()", nil)
	tab.Sees("nobody knows who may what")
	s.put("GET /clusters", "[]")
	s.put("GET /me", "")
	tab.Sees("There are no clusters.") // without signing in
	tab.Press("Tenants")
	tab.Press("acme")
	tab.Sees("There are none.")
	tab.Sees("about 5 min, and may take 15 min")
	s.put("GET /tenants/acme", "401 the token has expired")
	tab.Sees("the token has expired")
	tab.Wait("document.activeElement.id === 'token'")
	var kept string
	tab.Eval("JSON.stringify(sessionStorage) + JSON.stringify(localStorage)", &kept)
	if strings.Contains(kept, "operator") {
		t.Errorf("the browser keeps %s", kept)
	}
}

func TestViewersOnlyLook(t *testing.T) {
	t.Parallel()
	tab, s := show(t, "viewer")
	tab.Sees("0.8 s old")
	disabled := func(name string) {
		t.Helper()
		if there, enabled := tab.Enabled(name); !there || enabled {
			t.Errorf("%s: there %t, enabled %t", name, there, enabled)
		}
	}
	disabled("Take a base backup now")
	tab.Press("Tenants")
	tab.Sees("globex")
	tab.Screenshot("tenants")
	tab.Press("acme")
	tab.Sees("Not restorable")
	tab.Sees("This takes the role admin; anna has viewer.")
	for _, want := range []string{"61 MB", "0 bytes", "2026-01-31 05:00:21", "Restorable: 2026-01-29 09:00:00 to"} {
		tab.Sees(want)
	}
	disabled("Restore to a moment…")
	disabled("Export now")
	if asked, _ := s.requests(); len(asked) > 0 {
		t.Errorf("it has asked for %q", asked)
	}
}

// The moment is chosen by keyboard or as text, each of which follows the other; nothing is
// done that the dry run was not of, or twice; what goes wrong is told as it is.
func TestRestoreBeside(t *testing.T) {
	t.Parallel()
	tab, s := show(t, "admin")
	const dry, run = "POST /tenants/acme/restore?dry_run", "POST /tenants/acme/restore"
	restore := func(enabled bool) {
		t.Helper()
		if _, is := tab.Enabled("Restore beside"); is != enabled {
			t.Errorf("it can be restored: %t", is)
		}
	}
	tab.Press("Tenants")
	tab.Press("acme")
	tab.Sees("Not restorable")
	tab.Press("Restore to a moment…")
	exact := func(want string) {
		t.Helper()
		if got := tab.Value("Exact moment"); got != want {
			t.Errorf("the moment is %s, want %s", got, want)
		}
	}
	exact("2026-01-31T11:45:00+01:00")
	tab.Focus("Moment to restore to")
	tab.Key("ArrowLeft")
	tab.Key("ArrowLeft")
	exact("2026-01-31T11:44:58+01:00")
	tab.Press("−1 min")
	exact("2026-01-31T11:43:58+01:00")
	tab.Fill("Exact moment", "2026-01-29T23:30:00Z") // in the gap
	tab.Sees("the last before it is 2026-01-29T21:00:00+01:00, the first after it is 2026-01-30T02:10:00+01:00")
	if got := tab.Value("Moment to restore to"); got != "1769729400" {
		t.Errorf("the slider is at %s", got)
	}
	tab.Fill("Exact moment", "2026-01-31 10:41:59 Europe/Brussels")
	tab.Sees("the dry run says what it means")
	tab.Choose("The line shows", "3600")
	tab.Screenshot("restore")

	restore(false)
	s.put(dry, "422 the oldest base backup is of after that")
	tab.Press("Dry run")
	tab.Sees("the oldest base backup is of after that")
	restore(false)
	s.put(dry, plan)
	tab.Press("Dry run")
	tab.Sees("1.5 MB of it, and at most 99 MB of WAL")
	tab.Sees("about 42 s, an estimate")
	restore(true)
	tab.Fill("Its name", "acme_before")
	restore(false) // another was tried
	tab.Press("Dry run")
	tab.Sees("It can be done")
	asks := `{"to":"2026-01-31 10:41:59 Europe/Brussels","as":"acme_before","neutralise":"auto"}`
	s.soon(t, dry+` {"to":"2026-01-31 10:41:59 Europe/Brussels","neutralise":"auto"}`, dry+` {"to":"2026-01-31 10:41:59 Europe/Brussels","neutralise":"auto"}`, dry+" "+asks)
	tab.Screenshot("plan")
	tab.Size(360, 700)
	fits(t, tab, "the dialog")
	tab.Screenshot("plan phone")
	tab.Size(1200, 900)

	s.put(run, "503 the catalog is away")
	tab.Press("Restore beside")
	tab.Sees("the catalog is away")
	running := fmt.Sprintf(job, "running", 20, "")
	s.put(run, strings.Replace(plan, `"steps"`, `"user":"acme_before","password":"told once","operation":`+running+`,"steps"`, 1))
	s.put("GET /jobs/22222222-0000-4000-8000-000000000000", running)
	tab.Press("Restore beside")
	if keys := s.soon(t, run+" "+asks, run+" "+asks); keys[0] == "" || keys[0] != keys[1] {
		t.Errorf("the keys are %q", keys)
	}
	tab.Sees("under way: fetch")
	tab.Sees("told once")
	tab.Key("Escape")
	tab.Wait("document.querySelector('dialog[open] progress').value === 0.2")
	tab.Screenshot("progress")
	s.put("GET /jobs/22222222-0000-4000-8000-000000000000", fmt.Sprintf(job, "done", 100, `,"result":{"tenant":"acme","target":"x","rights":"rights of other roles are not restored","files":"the database refers to 2 files"}`))
	tab.Sees("is what acme was at 2026-01-31T09:41:59Z")
	tab.Sees("Note: rights of other roles are not restored")
	tab.Sees("Note: the database refers to 2 files")
	tab.Screenshot("done")
	tab.Press("Swap this moment in for acme…")
	tab.Wait("document.querySelector('#swap').checked")
	exact("2026-01-31 10:41:59 Europe/Brussels")
}

// A swap, and its undoing, take the tenant's name typed in.
func TestSwapAndUndo(t *testing.T) {
	t.Parallel()
	tab, s := show(t, "admin")
	tab.Press("Tenants")
	tab.Press("acme")
	tab.Sees("Not restorable")
	tab.Press("Restore to a moment…")
	tab.Press("Latest")
	tab.Wait("document.activeElement.id === 'exact'")
	tab.Eval("document.getElementById('swap').click()", nil)
	s.put("POST /tenants/acme/restore?dry_run", strings.Replace(plan, `"target"`, `"swap":true,"target"`, 1))
	tab.Press("Dry run")
	tab.Sees("It can be done")
	typed := func(button, text string, enabled bool) {
		t.Helper()
		tab.Fill("To confirm", text)
		if _, is := tab.Enabled(button); is != enabled {
			t.Errorf("%s with %q typed in: %t", button, text, is)
		}
	}
	typed("Restore, and swap", "acm", false)
	typed("Restore, and swap", "acme ", false)
	typed("Restore, and swap", "acme", true)
	tab.Screenshot("swap")
	running := fmt.Sprintf(job, "running", 20, "")
	s.put("POST /tenants/acme/restore", strings.Replace(plan, `"steps"`, `"swap":true,"operation":`+running+`,"steps"`, 1))
	s.put("GET /jobs/22222222-0000-4000-8000-000000000000", fmt.Sprintf(job, "attention", 20, `,"error":"no space left on device"`))
	tab.Press("Restore, and swap")
	s.soon(t, `POST /tenants/acme/restore?dry_run {"to":"latest","swap":true}`, `POST /tenants/acme/restore {"to":"latest","swap":true}`)
	tab.Sees("no space left on device")
	s.put("POST /jobs/22222222-0000-4000-8000-000000000000/resume", running)
	s.put("GET /dropped", `[{"operation":"x","id":"11111111-0000-4000-8000-000000000000","name":"acme","oid":1,"dropped":"2026-01-31T10:51:00Z","purge":"2026-02-07T10:51:00Z"},{"operation":"y","id":"another","name":"acme","oid":2,"dropped":"2026-01-01T10:51:00Z","purge":"2026-02-02T10:51:00Z"}]`)
	tab.Press("Try again")
	s.soon(t, "POST /jobs/22222222-0000-4000-8000-000000000000/resume")
	s.put("GET /jobs/22222222-0000-4000-8000-000000000000", fmt.Sprintf(job, "done", 100, ""))
	tab.Sees("goes on with what it was")
	tab.Key("Escape")
	tab.Sees("the database of before 2026-01-31 11:51:00")
	if text := tab.Text("main"); strings.Contains(text, "2026-01-01") {
		t.Errorf("what another tenant of this name had is offered: %s", text)
	}
	s.put("POST /tenants/acme/restore/undo?dry_run", plan)
	tab.Press("Undo the swap…")
	tab.Sees("recover")
	s.put("POST /tenants/acme/restore/undo", "503 the catalog is away")
	typed("Swap back", "acme", true)
	tab.Press("Swap back")
	tab.Sees("the catalog is away")
	if _, is := tab.Enabled("Swap back"); is || tab.Value("To confirm") != "" {
		t.Error("it can be asked for again, and nobody has typed the name")
	}
	s.put("POST /tenants/acme/restore/undo", `{"operation":`+running+`}`)
	typed("Swap back", "globex", false)
	typed("Swap back", "acme", true)
	tab.Press("Swap back")
	tab.Sees("has the database back")
	tab.Screenshot("undone")
	s.soon(t, "POST /tenants/acme/restore/undo?dry_run", "POST /tenants/acme/restore/undo", "POST /tenants/acme/restore/undo")
}
