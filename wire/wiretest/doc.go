// Package wiretest helps to test what speaks the PostgreSQL protocol.
//
// fake.go is a server on a free port of 127.0.0.1 whose connections follow
// scripts, strictly, with whatever a test wants to see happen to a connection:
// half a message, a reset, silence. client.go runs the same steps in the
// client's role. answer.go is a fake that answers every query the same way, to
// thousands of connections. certificate.go makes certificates. postgres.go starts
// the real thing, which lend.go lends to one test after the other.
package wiretest
