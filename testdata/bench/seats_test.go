package main

import (
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestJainIsOneForEqualsAndAShareForOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		served series
		index  float64
	}{
		{series{7, 7, 7, 7}, 1},
		{series{9, 0, 0, 0}, 0.25},
		{series{1, 2, 3}, 36.0 / 42},
		{series{0, 0}, 0},
		{nil, 0},
	} {
		if got := c.served.jain(); math.Abs(got-c.index) > 1e-9 {
			t.Errorf("%v: Jain's index is %v, want %v", []float64(c.served), got, c.index)
		}
	}
}

func TestQuantileTakesTheNearestRank(t *testing.T) {
	t.Parallel()
	hundred := make(series, 100)
	for i := range hundred {
		hundred[i] = float64(99 - i)
	}
	for q, want := range map[float64]float64{0: 0, 0.5: 50, 0.99: 99, 1: 99} {
		if got := hundred.quantile(q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

func TestRotatedGoesAroundAndLeavesTheListAlone(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d"}
	for n, want := range map[int]string{0: "abcd", 3: "dabc", 4: "abcd", 9: "bcda"} {
		if got := strings.Join(rotated(names, n), ""); got != want {
			t.Errorf("rotated by %d: %s, want %s", n, got, want)
		}
	}
	if strings.Join(names, "") != "abcd" {
		t.Errorf("the list became %v", names)
	}
}

func TestTenantSectionsAreApart(t *testing.T) {
	t.Parallel()
	plain, err := parseOptions(nil, io.Discard)
	if err != nil || !slices.Equal(plain.only, sections()) {
		t.Errorf("without flags: %v, %v", plain.only, err)
	}
	many, err := parseOptions([]string{"-tenants"}, io.Discard)
	if err != nil || !slices.Equal(many.only, tenantSections()) {
		t.Errorf("-tenants: %v, %v", many.only, err)
	}
	if _, err := parseOptions([]string{"-only", "flood"}, io.Discard); err == nil {
		t.Error("-only flood without -tenants is taken")
	}
	if _, err := parseOptions([]string{"-tenants", "-only", "tps"}, io.Discard); err == nil {
		t.Error("-tenants -only tps is taken")
	}
}

func TestTargetOfHowdahAloneNeedsNoPgBouncer(t *testing.T) {
	t.Parallel()
	reached := row{target: aloneAtLeast(0.95)}
	reached.sample(howdah, 0.96)
	missed := row{target: aloneAtMost(50)}
	missed.sample(howdah, 51)
	both := row{target: ratioAtLeast(1)}
	both.sample(howdah, 2)
	for _, c := range []struct {
		row  row
		want string
	}{{reached, "≥ 0.95, reached"}, {missed, "≤ 50, **missed**"}, {both, "ratio ≥ 1.00"}} {
		if got := c.row.verdict(); got != c.want {
			t.Errorf("verdict %q, want %q", got, c.want)
		}
	}
}
