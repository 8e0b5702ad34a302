// Package cases is what the Go programs share: how a case is chosen and how a
// result is printed, one line per thing looked at, the same whatever the
// server's process numbers or time of day are.
package cases

import (
	"crypto/md5"
	"fmt"
	"os"
	"strings"
)

// Run runs the case that the command line names.
func Run(all map[string]func()) {
	if run := all[os.Args[1]]; run != nil {
		run()
		return
	}
	fmt.Println("not in this client")
}

// Show prints one result on one line, shortened if it is long.
func Show(label string, values ...any) {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprintf("%v", v)
	}
	text := strings.ReplaceAll(strings.Join(words, " "), "\n", `\n`)
	if len(text) > 400 {
		text = fmt.Sprintf("%d bytes, %s", len(text), Digest(text))
	}
	fmt.Printf("%s: %s\n", label, text)
}

// Must ends the program when something failed that no case is about.
func Must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Digest stands for a long text.
func Digest(text string) string {
	return fmt.Sprintf("%x", md5.Sum([]byte(text)))
}
