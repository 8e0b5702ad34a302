// Package odoo makes the copy of an Odoo database one that does no harm beside the
// original.
//
// A copy's life: Settle (odoo.go) looks whether there is an Odoo in it and of which
// version. It neutralises it: by the data that installed modules have for that, where the
// folders of their files are known (modules.go), and for the others by a built-in list
// (builtin.go). Then it gives the database another identity, as Odoo's own duplicate does
// (renew.go).
// All is one transaction of the role that owns what is in the database: what is in it may
// run code of the tenant's. Done a second time, it does nothing.
package odoo
