package jobs_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"howdah/admin/jobs"
	"howdah/tenants/catalog"
)

// lines is a log that is looked into while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// messages returns what was told, in order.
func (l *lines) messages() (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		_, message, _ := strings.Cut(line, "msg=")
		message, _, _ = strings.Cut(message, " error=")
		message, _, _ = strings.Cut(message, " err=")
		all = append(all, strings.TrimSpace(message))
	}
	return all
}

func (l *lines) await(t *testing.T, message string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(strings.Join(l.messages(), "\n"), message) {
			return
		}
	}
	t.Fatalf("not told: %q, but %q", message, l.messages())
}

// A catalog that is away is told of once, not at each of River's attempts, and so is that
// it is back; then operations are run again.
func TestAwayCatalogIsToldOnce(t *testing.T) {
	y := newYard(t)
	log := &lines{}
	kinds := map[string]jobs.Kind{"make": {Forward: func(ctx context.Context, r *jobs.Run) error { return r.Finish(ctx, nil, nil) }}}
	y.startLogging(slog.New(slog.NewTextHandler(log, nil)), "one", kinds)
	y.await(y.begin("make", "acme"), catalog.Done)

	before := len(log.messages())
	y.server.Kill()
	<-y.server.Done()
	log.await(t, "the catalog does not answer")
	time.Sleep(3 * time.Second) // River fetches every second, and tries to listen and to lead
	told := map[string]int{}
	for _, message := range log.messages()[before:] {
		if told[message]++; told[message] > 1 {
			t.Errorf("told again and again: %s", message)
		}
	}
	if len(told) > 6 { // what River noticed before it was known why
		t.Errorf("told in 3 s: %v", told)
	}
	if err := y.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	log.await(t, "the catalog answers again")
	y.await(y.begin("make", "globex"), catalog.Done)
}
