package quota_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"howdah/provision/quota"
	"howdah/tenants"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// scene is a Watch over clusters whose databases have the sizes that the test says. All
// happens in one bubble, so that nothing needs a lock.
type scene struct {
	registry *tenants.Registry
	sizes    map[string]int64
	away     bool
	asked    []string // of databases, in order
	told     map[string]tenants.Usage
	log      bytes.Buffer
}

func registryOf(t *testing.T, all ...tenants.Tenant) *tenants.Snapshot {
	t.Helper()
	s, err := tenants.NewSnapshot([]tenants.Cluster{{Name: "main", AdminURL: "x"}, {Name: "blind"}}, nil, all, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tenant(name string, quota int64) tenants.Tenant {
	return tenants.Tenant{Name: name, Cluster: "main", Database: name, Limits: tenants.Limits{Quota: quota}}
}

// watched runs the test in a bubble beside a Watch over these tenants.
func watched(t *testing.T, all []tenants.Tenant, test func(t *testing.T, s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{registry: tenants.NewRegistry(registryOf(t, all...)), sizes: map[string]int64{}}
		w := &quota.Watch{
			Registry: s.registry, Log: slog.New(slog.NewTextHandler(&s.log, nil)),
			Tell: func(u map[string]tenants.Usage) { s.told = u },
			Measure: func(_ context.Context, _ *tenants.Cluster, databases []string) (map[string]int64, error) {
				s.asked = append(s.asked, slices.Sorted(slices.Values(databases))...)
				if s.away {
					return nil, errors.New("away")
				}
				return maps.Clone(s.sizes), nil
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		go w.Run(ctx)
		test(t, s)
		cancel()
		synctest.Wait()
	})
}

func (s *scene) want(t *testing.T, name string, want tenants.QuotaState) {
	t.Helper()
	synctest.Wait()
	if got := s.told[name].State; got != want {
		t.Errorf("after %v: tenant %q is %v, want %v", time.Now().Format("15:04:05"), name, got, want)
	}
}

func TestWatchTellsOfQuotas(t *testing.T) {
	watched(t, []tenants.Tenant{tenant("acme", 1000), tenant("free", 0)}, func(t *testing.T, s *scene) {
		s.want(t, "acme", tenants.QuotaUnknown) // there is no such database
		s.sizes["acme"] = 100
		time.Sleep(11 * time.Second)
		s.want(t, "acme", tenants.QuotaWithin)
		s.sizes["acme"] = 1000
		time.Sleep(30 * time.Second)
		s.want(t, "acme", tenants.QuotaWithin)
		time.Sleep(31 * time.Second) // a minute after the last time
		s.want(t, "acme", tenants.QuotaOver)
		s.sizes["acme"] = 950
		time.Sleep(11 * time.Second) // now it is measured more often
		s.want(t, "acme", tenants.QuotaOver)
		s.sizes["acme"] = 949
		time.Sleep(11 * time.Second)
		s.want(t, "acme", tenants.QuotaNear)
		s.sizes["acme"] = 1
		time.Sleep(11 * time.Second)
		s.want(t, "acme", tenants.QuotaWithin)
		if slices.Contains(s.asked, "free") || len(s.told) != 1 {
			t.Errorf("asked for %v, told of %v", s.asked, s.told)
		}
		for _, text := range []string{"over its quota", "near its quota", "within its quota again"} {
			if n := strings.Count(s.log.String(), text); n != 1 {
				t.Errorf("the log says %d times %q: %s", n, text, s.log.String())
			}
		}
	})
}

func TestWatchFollowsTheRegistry(t *testing.T) {
	watched(t, []tenants.Tenant{tenant("acme", 0)}, func(t *testing.T, s *scene) {
		s.sizes["acme"], s.sizes["globex"] = 1000, 1
		change := func(all ...tenants.Tenant) {
			s.registry.Replace(registryOf(t, all...))
			time.Sleep(time.Second)
		}
		change(tenant("acme", 1000), tenant("globex", 1000))
		s.want(t, "acme", tenants.QuotaOver)
		s.want(t, "globex", tenants.QuotaWithin)
		change(tenant("acme", 2000), tenant("globex", 1000))
		s.want(t, "acme", tenants.QuotaWithin)
		graced := tenant("acme", 1000)
		graced.QuotaRules.GraceUntil = time.Now().Add(time.Hour)
		change(graced)
		s.want(t, "acme", tenants.QuotaGrace)
		time.Sleep(time.Hour - 2*time.Second)
		s.want(t, "acme", tenants.QuotaGrace)
		time.Sleep(time.Second)
		s.want(t, "acme", tenants.QuotaOver)
		change(tenant("acme", 0))
		if synctest.Wait(); len(s.told) != 0 {
			t.Errorf("without quotas it tells of %v", s.told)
		}
	})
}

func TestWatchGoesByWhatWasMeasuredLast(t *testing.T) {
	blind := tenant("blind", 1000)
	blind.Cluster = "blind"
	watched(t, []tenants.Tenant{tenant("acme", 1000), blind}, func(t *testing.T, s *scene) {
		s.sizes["acme"] = 1000
		time.Sleep(11 * time.Second)
		s.want(t, "acme", tenants.QuotaOver)
		s.want(t, "blind", tenants.QuotaUnknown)
		s.away = true
		time.Sleep(5 * time.Minute)
		s.want(t, "acme", tenants.QuotaOver)
		if n := strings.Count(s.log.String(), "cannot measure"); n != 2 { // and of the cluster without admin_url
			t.Errorf("the log says %d times that something cannot be measured: %s", n, s.log.String())
		}
		s.away, s.sizes["acme"] = false, 1
		time.Sleep(11 * time.Second)
		s.want(t, "acme", tenants.QuotaWithin)
	})
}

func TestWatchMeasuresWhatTheFallbackFinds(t *testing.T) {
	watched(t, []tenants.Tenant{{Name: tenants.Fallback, Cluster: "main", Limits: tenants.Limits{Quota: 1000}}}, func(t *testing.T, s *scene) {
		s.sizes["found"] = 1000
		if _, ok := s.registry.Snapshot().Lookup("found", "somebody"); !ok {
			t.Fatal("the fallback finds nothing")
		}
		time.Sleep(11 * time.Second)
		s.want(t, "found", tenants.QuotaOver)
	})
}

func TestSizes(t *testing.T) { sizes(t, wiretest.StartPostgres(t)) }

// TestSizesNewestSoak is TestSizes on the newest major version.
func TestSizesNewestSoak(t *testing.T) {
	sizes(t, wiretest.StartPostgresOf(t, wiretest.NewestPostgres(t)))
}

func sizes(t *testing.T, server *postgres.Server) {
	sizes, err := quota.Sizes(t.Context(), &tenants.Cluster{AdminURL: server.AdminURL(postgres.Superuser)}, []string{"postgres", "nowhere", "template0"})
	if err != nil {
		t.Fatal(err)
	}
	if len(sizes) != 2 || sizes["postgres"] < 1<<20 || sizes["template0"] < 1<<20 {
		t.Errorf("sizes are %v", sizes)
	}
	if _, err := quota.Sizes(t.Context(), &tenants.Cluster{Name: "main", AdminURL: "postgres://127.0.0.1:1/x"}, nil); err == nil || !strings.Contains(err.Error(), `cluster "main"`) {
		t.Errorf("nobody listens: %v", err)
	}
}
