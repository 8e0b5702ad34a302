// Package hba decides how a client has to prove who it is, by rules in the
// syntax of pg_hba.conf and pg_ident.conf (PostgreSQL manual, "Client
// Authentication").
//
// Read turns a file into Rules: token.go cuts its lines into fields as
// PostgreSQL does, parse.go makes rules of them, and whatever it cannot honour
// is a Mistake with its line, never a rule that means something else. Match
// finds the first rule for a Connection; it does no I/O. ReadMaps does for
// pg_ident.conf what Read does for rules: Maps say which users a name that was
// proved elsewhere, in a certificate or by the operating system, may be.
//
// What PostgreSQL has and this package refuses: roles by membership (+role,
// samerole), as Howdah does not know who is a member; host names and samehost,
// samenet; include lines; and the methods gss, sspi, ident, ldap, radius, pam,
// bsd and oauth. Regular expressions are Go's.
package hba
