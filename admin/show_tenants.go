package admin

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"howdah/router"
	"howdah/tenants"
)

// tenantColumns are those of SHOW TENANTS. The operation is what is under way on the
// tenant. Limits have their names in the configuration and are those in force, 0 for
// none; times are in seconds. The size is told of those with a quota, in bytes, once it has
// been measured.
const tenantColumns = "tenant s, cluster s, database s, user s, tier s, state s, clients i, servers i, waiting i, " +
	limitColumns + ", operation s, size q, quota q, quota_state s, quota_grace_until T"

const limitColumns = "pool_mode s, pool_size i, min_pool_size i, reserve_pool_size i, max_db_connections i, max_user_connections i, " +
	"max_client_conn i, max_user_client_connections i, max_waiting_clients i, max_queries_per_second i, " +
	"max_logins_per_second i, max_bytes_per_second q, query_wait_timeout N, query_timeout N, transaction_timeout N, " +
	"idle_transaction_timeout N, client_idle_timeout N, weight i"

// tenantCommands are those that tell of tenants, and may be narrowed down.
func tenantCommands() []Command {
	return []Command{
		{
			Name: "SHOW TENANTS", Usage: "SHOW TENANTS [[LIKE] 'pattern']", Stats: true,
			argument: argumentOptional, run: showTenants,
		},
		{
			Name: "SHOW TOP", Usage: "SHOW TOP [tenant]", Stats: true,
			argument: argumentOptional, run: showTop,
		},
	}
}

// showTenants has a row for each tenant, sent as they come: there may be very
// many.
func showTenants(ctx context.Context, s *session, pattern string) error {
	underway := s.underway(ctx)
	row := s.begin(columns(tenantColumns)).row
	wanted := func(name string) bool { return pattern == "" || like(name, pattern) }
	for t := range s.console.Tenants(wanted) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		values := append([]any{
			t.Name, t.Cluster, orNull(t.Database), orNull(t.User), orNull(t.Tier), tenantState(&t),
			t.Clients, t.Servers, t.Waiting,
		}, limitValues(&t.Limits)...)
		row(append(append(values, orNull(underway[t.Name])), quotaValues(&t)...)...)
	}
	return nil
}

// quotaValues are those of the columns that tell of the quota.
func quotaValues(t *router.TenantRow) []any {
	u := &t.Usage
	if t.Limits.Quota == 0 {
		return []any{nil, 0, nil, nil}
	}
	size, until := any(u.Size), any(nil)
	if u.State == tenants.QuotaUnknown {
		size = nil
	}
	if u.State == tenants.QuotaGrace {
		until = u.GraceUntil
	}
	return []any{size, t.Limits.Quota, u.State.String(), until}
}

// limitValues are those of limitColumns.
func limitValues(l *tenants.Limits) []any {
	return []any{
		l.PoolMode.String(), l.PoolSize, l.MinPoolSize, l.ReservePoolSize, l.MaxDBConnections, l.MaxUserConnections,
		l.MaxClientConn, l.MaxUserClientConn, l.MaxWaitingClients, l.MaxQueriesPerSecond,
		l.MaxLoginsPerSecond, l.MaxBytesPerSecond, inSeconds(l.QueryWaitTimeout), inSeconds(l.QueryTimeout), inSeconds(l.TransactionTimeout),
		inSeconds(l.IdleTransactionTimeout), inSeconds(l.ClientIdleTimeout), l.Weight,
	}
}

// catalogPatience is how long the catalog may take where an answer can do without it.
const catalogPatience = 2 * time.Second

// underway returns the kinds of the operations that are under way, by tenant: none
// without the catalog.
func (s *session) underway(ctx context.Context) map[string]string {
	f, err := s.console.theFleet()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	all, err := f.Catalog.Underway(ctx)
	if err != nil {
		s.notice("the catalog is away: what is under way is not shown", "")
	}
	return all
}

func tenantState(t *router.TenantRow) string {
	if t.State == tenants.Active && t.Paused {
		return "paused"
	}
	return t.State.String()
}

// inSeconds writes a duration as SHOW CONFIG does.
func inSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// like reports whether text is like pattern, as SQL's LIKE has it: % stands for
// anything, _ for one character, and a backslash takes its meaning from the next.
func like(text, pattern string) bool {
	retry, from := -1, 0 // behind the last %, and where in text that was tried
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '%':
			p++
			retry, from = p, t
			continue
		case p < len(pattern) && pattern[p] == '_':
			_, n := utf8.DecodeRuneInString(text[t:])
			p, t = p+1, t+n
			continue
		case p+1 < len(pattern) && pattern[p] == '\\' && pattern[p+1] == text[t]:
			p, t = p+2, t+1
			continue
		case p < len(pattern) && pattern[p] != '\\' && pattern[p] == text[t]:
			p, t = p+1, t+1
			continue
		case retry < 0:
			return false
		}
		_, n := utf8.DecodeRuneInString(text[from:])
		from += n
		p, t = retry, from
	}
	return strings.Trim(pattern[p:], "%") == ""
}
