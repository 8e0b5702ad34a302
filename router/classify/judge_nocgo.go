//go:build !cgo

package classify

// Parses says whether there is a parser. Without one everything is Unsafe.
const Parses = false

func judge(string, bool) *judgement { return &judgement{unsafe: true} }
