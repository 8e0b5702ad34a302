package admin

import (
	"maps"
	"slices"
	"time"

	"howdah/router"
)

// values returns the counters in the order of the columns of SHOW STATS.
func values(c router.Counters) []any {
	return []any{
		c.Assignments, c.Transactions, c.Queries, c.Received, c.Sent,
		c.TxTime, c.QueryTime, c.WaitTime, c.ClientParses, c.ServerParses, c.Binds,
	}
}

// valueNames are the names that SHOW TOTALS has for values.
func valueNames() []string {
	return []string{
		"server_assignment_count", "xact_count", "query_count", "client_bytes", "server_bytes",
		"xact_time", "query_time", "wait_time", "ps_client_parse_count", "ps_server_parse_count", "ps_bind_count",
	}
}

// DatabaseStats is what SHOW STATS tells of one database.
type DatabaseStats struct {
	Name           string
	Total, Average router.Counters
}

// DatabaseStats returns what SHOW STATS tells, by name.
func (c *Console) DatabaseStats() []DatabaseStats {
	rows, _ := c.stats()
	return rows
}

// countersByDatabase adds up pools and the console's own use.
func (c *Console) countersByDatabase(pools []router.PoolStats) map[string]router.Counters {
	sums := make(map[string]router.Counters, len(pools))
	for _, p := range c.pools(pools) {
		sum := sums[p.Database]
		sum.Add(&p.Counters)
		sums[p.Database] = sum
	}
	return sums
}

// stats returns a row per database, in order, and their sum.
func (c *Console) stats() (rows []DatabaseStats, sum DatabaseStats) {
	st := c.Stats()
	base := c.averages.since(st.Started)
	d := time.Since(base.at)
	var old router.Counters
	current := c.countersByDatabase(st.Pools)
	for _, name := range slices.Sorted(maps.Keys(current)) {
		total, before := current[name], base.counters[name]
		rows = append(rows, DatabaseStats{name, total, average(total, before, d)})
		sum.Total.Add(&total)
		old.Add(&before)
	}
	sum.Average = average(sum.Total, old, d)
	return rows, sum
}

func showStats(s *session, row func(...any)) {
	rows, _ := s.console.stats()
	for _, r := range rows {
		row(slices.Concat([]any{r.Name}, values(r.Total), values(r.Average))...)
	}
}

func showStatsTotals(s *session, row func(...any)) {
	rows, _ := s.console.stats()
	for _, r := range rows {
		row(slices.Concat([]any{r.Name}, values(r.Total))...)
	}
}

func showStatsAverages(s *session, row func(...any)) {
	rows, _ := s.console.stats()
	for _, r := range rows {
		row(slices.Concat([]any{r.Name}, values(r.Average))...)
	}
}

func showTotals(s *session, row func(...any)) {
	_, sum := s.console.stats()
	names := valueNames()
	for i, v := range values(sum.Total) {
		row("total_"+names[i], v)
	}
	for i, v := range values(sum.Average) {
		row("avg_"+names[i], v)
	}
}
