package admin

import "time"

// showBudget has a row per cluster: how many servers it may hold, who waits for
// one, and how often a seat went from one tenant to another.
func showBudget(s *session, row func(...any)) {
	for _, b := range s.console.Budgets() {
		free := max(b.Seats-b.Used, 0)
		if b.Seats == 0 {
			free = 0 // there is no limit
		}
		overdraft := 0
		if b.Overdraw {
			overdraft = 1
		}
		row(b.Cluster, b.Seats, b.Reserve, b.Used, free, b.Waiting, b.Wanted, b.Moving, int64(b.Moved), overdraft, b.Quantum.Milliseconds())
	}
}

// showBlame has a row for each tenant and whom its clients have waited for.
func showBlame(s *session, row func(...any)) {
	for _, b := range s.console.Blame() {
		row(b.Cluster, b.Tenant, b.Because, int64(b.Waited/time.Millisecond))
	}
}
