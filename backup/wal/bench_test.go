package wal

import (
	"syscall"
	"testing"
	"time"

	"howdah/wire/wiretest"
)

// BenchmarkReceive receives WAL that the server has already: MB/s on the way, and a second
// of processor time, from the socket to the disk.
func BenchmarkReceive(b *testing.B) {
	primary := start(b, wiretest.FindPostgres(b), wiretest.WithSetting("max_wal_size", "8GB"), wiretest.WithSetting("full_page_writes", "on"))
	url := primary.AdminURL("postgres")
	exec1(b, primary,
		"select pg_create_physical_replication_slot('howdah', true)",
		"create table t (n bigint, m int, filler text)", "create index on t (n)",
		"insert into t select g, g % 100, md5(g::text) from generate_series(1, 3000000) g",
		"update t set m = m + 1 where n % 3 = 0")
	// One round, whatever b.N is: the slot does not go back.
	g := newRig(b)
	r := g.receiver(url)
	r.Interval, r.SampleURL = time.Second, nil
	b.ResetTimer()
	before, began := cpu(b), time.Now()
	run(b, r)
	stored(b, r, primary)
	took, used := time.Since(began).Seconds(), (cpu(b) - before).Seconds()
	in, out := float64(r.Stats().BytesIn)/1e6, float64(r.Stats().BytesOut)/1e6
	b.ReportMetric(in/took, "MB/s")
	b.ReportMetric(in/used, "MB/s-of-a-core")
	b.ReportMetric(in/out, "ratio")
	b.ReportMetric(in, "MB")
}

// cpu returns what this process has used of processors.
func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
