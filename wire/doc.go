// Package wire speaks the PostgreSQL frontend/backend protocol, version 3
// (PostgreSQL manual, chapter "Frontend/Backend Protocol").
//
// A connection's life touches the files in this order. It begins with an
// untyped packet: startup.go reads StartupMessage, SSLRequest, GSSENCRequest
// and CancelRequest and answers the ones that need an answer. tls.go takes the
// connection into TLS, scram.go and md5.go prove who is there, on either
// side. dial.go does all of it in the client's role, to open a server
// connection. From then on every message is a type byte, a length and a body:
// frame.go reads that header, message.go looks into the few bodies that decide
// something, append.go builds messages, error.go holds ErrorResponse and the
// SQLSTATEs Howdah itself reports.
//
// Decoders never copy: what they return points into the bytes they were given
// and lives exactly as long as those. Every length is checked against the bytes
// at hand before it is believed.
//
// The package knows no tenants and writes no log.
package wire
