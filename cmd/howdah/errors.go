package main

import (
	"errors"
	"fmt"
)

// What a command's error means to the shell that ran it.
var (
	errNotFound = errors.New("not found") // exit code 4, HTTP's 404
	errConflict = errors.New("conflict")  // exit code 5, HTTP's 409
)

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// exitError is of a command whose exit code another program reads.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}
func (e exitError) Unwrap() error { return e.err }

// The exit codes, which scripts rely on.
const (
	exitDone = iota
	exitFailed
	exitUsage
	exitConfiguration
	exitNotFound
	exitConflict
)

// exitCode maps what run returned to the process's exit code.
func exitCode(err error) int {
	var config *ConfigError
	var usage usageError
	var exit exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &config):
		return exitConfiguration
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errNotFound):
		return exitNotFound
	case errors.Is(err, errConflict):
		return exitConflict
	default:
		return exitFailed
	}
}
