package api

import (
	"crypto/sha256"
	"math"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what may be asked for. 0 is no limit.
type Limits struct {
	Requests int // a second, with one token or certificate
	Failures int // a minute, from one address: tokens that are none
}

// rates keep whoever asks within the limits.
type rates struct {
	limits   func() Limits
	visitors buckets // by the hash of a token that was good, or a certificate's name
	failures buckets // by address
}

// spend counts a request of a visitor who is known, and returns for how long that one has
// to wait first.
func (r *rates) spend(visitor string) time.Duration {
	n := r.limits().Requests
	return wait(r.visitors.of(visitor, perSecond(n), n))
}

// knows reports whether a visitor has been let in lately.
func (r *rates) knows(visitor string) bool { return r.visitors.has(visitor) }

// guessing returns for how long nobody from an address is let in who is not known: too
// many have come from there with tokens that are none.
func (r *rates) guessing(address string) time.Duration {
	if n := r.limits().Failures; n > 0 && r.failures.has(network(address)) {
		return until(r.failures.of(network(address), perMinute(n), n))
	}
	return 0
}

// failed counts a token that is none.
func (r *rates) failed(address string) {
	if n := r.limits().Failures; n > 0 {
		r.failures.of(network(address), perMinute(n), n).Allow()
	}
}

func perSecond(n int) rate.Limit {
	if n <= 0 {
		return rate.Inf
	}
	return rate.Limit(n)
}

func perMinute(n int) rate.Limit { return rate.Limit(n) / 60 }

// wait takes one from a bucket, or returns when there will be one.
func wait(l *rate.Limiter) time.Duration {
	r := l.Reserve()
	d := r.Delay()
	if d > 0 {
		r.Cancel()
	}
	return d
}

// until returns when there will be one, and takes none.
func until(l *rate.Limiter) time.Duration {
	missing := 1 - l.Tokens()
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(l.Limit()) * float64(time.Second))
}

// retryAfter is a wait in whole seconds, as HTTP has it.
func retryAfter(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// network is what an address counts as: of IPv6 whoever has one has 64 bits of them.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is6() || a.Is4In6() {
		return address
	}
	p, _ := a.WithZone("").Prefix(64) // 64 bits are never too many
	return p.String()
}

// hostOf is an address without its port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// tokenKey is what a token is counted as: its text is kept nowhere.
func tokenKey(text string) string {
	sum := sha256.Sum256([]byte(text))
	return string(sum[:])
}

// maxBuckets bounds the memory that visitors take.
const maxBuckets = 10_000

// buckets are rate limiters by key. The zero value is ready.
type buckets struct {
	mu  sync.Mutex
	all map[string]*rate.Limiter
}

func (b *buckets) has(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all[key] != nil
}

// of returns the limiter of a key, which has the limit that is in force now.
func (b *buckets) of(key string, limit rate.Limit, burst int) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.all[key]
	if l == nil {
		if len(b.all) >= maxBuckets {
			b.forget()
		}
		if b.all == nil {
			b.all = map[string]*rate.Limiter{}
		}
		l = rate.NewLimiter(limit, burst)
		b.all[key] = l
	}
	if l.Limit() != limit || l.Burst() != burst {
		l.SetLimit(limit)
		l.SetBurst(burst)
	}
	return l
}

// forget drops those that are full again, which are as good as new, or one by chance.
func (b *buckets) forget() {
	for key, l := range b.all {
		if l.Tokens() >= float64(l.Burst()) {
			delete(b.all, key)
		}
	}
	if len(b.all) < maxBuckets {
		return
	}
	for key := range b.all {
		delete(b.all, key)
		return
	}
}
