package admin

import (
	"context"
	"strconv"
	"time"
)

// topColumns are those of SHOW TOP.
const topColumns = "tenant s, shape s, calls q, total_ms N, mean_ms N, max_ms N, rows q"

// showTop has a row for each shape of statements that were slow, those that
// took most in total first.
func showTop(_ context.Context, s *session, tenant string) error {
	row := s.begin(columns(topColumns)).row
	for _, t := range s.console.Top(tenant) {
		mean := t.Total / time.Duration(max(t.Calls, 1))
		row(t.Tenant, t.Shape, t.Calls, milliseconds(t.Total), milliseconds(mean), milliseconds(t.Max), t.Rows)
	}
	return nil
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 3, 64)
}
