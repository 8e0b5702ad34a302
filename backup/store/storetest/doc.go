// Package storetest tests that a driver keeps the contract of store.Store.
//
// Run (storetest.go) tests every sentence of it: objects that are put whole
// (whole.go), streams and what is left of aborted, cancelled and killed ones
// (stream.go, killed.go), reading (read.go), lists (list.go), and which keys and
// metadata there can be (names.go). StartS3 (s3.go) starts a real S3 server; NewDir and
// NewSealer (new.go) are for tests that only need a store.
package storetest
