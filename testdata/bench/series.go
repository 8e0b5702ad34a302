package main

import (
	"fmt"
	"slices"
	"strconv"
)

// series are the samples of one figure.
type series []float64

// median is 0 for an empty series, as are least and most.
func (s series) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// dividedBy divides each sample by the other series' one.
func (s series) dividedBy(by series) series {
	ratios := make(series, len(s))
	for i, x := range s {
		ratios[i] = x / by[i]
	}
	return ratios
}

// middleHalf are the samples without the quarter that is lowest and the quarter that is
// highest.
func (s series) middleHalf() series {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[len(sorted)/4 : len(sorted)-len(sorted)/4]
}

func (s series) least() float64 {
	if len(s) == 0 {
		return 0
	}
	return slices.Min(s)
}

func (s series) most() float64 {
	if len(s) == 0 {
		return 0
	}
	return slices.Max(s)
}

// String is "12,345 (12,000–12,600)"; "" for an empty series.
func (s series) String() string {
	switch len(s) {
	case 0:
		return ""
	case 1:
		return formatNumber(s[0])
	}
	return fmt.Sprintf("%s (%s–%s)", formatNumber(s.median()), formatNumber(s.least()), formatNumber(s.most()))
}

// formatNumber keeps three digits or so, and sets thousands apart.
func formatNumber(f float64) string {
	switch {
	case f >= 100:
		text := strconv.FormatFloat(f, 'f', 0, 64)
		for i := len(text) - 3; i > 0; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	default:
		return strconv.FormatFloat(f, 'f', 2, 64)
	}
}
